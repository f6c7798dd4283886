"""What happens to engines while they are played: outages, slow-downs, refusals of full engines, noise."""

from dataclasses import replace
from statistics import fmean, stdev

import pytest

from proxy.model.backend import BackendSpec
from proxy.model.commands import Dispatch
from proxy.model.outcome import Verdict
from proxy.report.report import report_of
from proxy.report.run import SimulatedRun
from proxy.sim.engine.course import read_course
from proxy.sim.engine.spec import MOONCAKE16
from proxy.sim.world.cluster import SimBackend, build_cluster, read_engines
from proxy.sim.world.references import play_reference
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival

STEP_S = MOONCAKE16.decode_s(1, 0)


def backend(name: str, *happens: str, max_queued: int | None = None, retry_after_s: float | None = None) -> SimBackend:
    spec = BackendSpec(name, models=frozenset({"sim"}))
    return SimBackend(spec, replace(MOONCAKE16, max_queued=max_queued), course=read_course(happens, retry_after_s))


def play(backends: list[SimBackend], arrivals: list[Arrival], policy: str = "", seed: int = 1) -> SimulatedRun:
    scheduler = build_scheduler(backends, policy or "least_outstanding", seed)
    return World(backends, scheduler, seed=seed).play(arrivals)


def steadily(count: int, gap_s: float, prompt: int = 200, answer: int = 100) -> list[Arrival]:
    return [Arrival(gap_s * number, prompt, answer) for number in range(count)]


def served_by(played: SimulatedRun, name: str, start: float, end: float) -> int:
    return sum(r.backend == name and start <= r.arrival.at < end for r in played.results)


def test_an_outage_takes_nothing_and_comes_back() -> None:
    played = play([backend("a"), backend("b", "outage at 20s for 20s")], steadily(600, 0.1))
    assert served_by(played, "b", 21.0, 38.0) == 0
    assert served_by(played, "b", 0.0, 19.0) > 50
    assert served_by(played, "b", 50.0, 60.0) > 5
    broken = [r for r in played.results if r.outcome is not None and r.outcome.verdict is not Verdict.SERVED]
    assert all(18.0 < r.arrival.at < 20.1 for r in broken), "only what was under way is lost"


def test_an_outage_for_good_ends_and_so_does_the_run() -> None:
    for played in (
        play([backend("a", "outage at 5s")], steadily(30, 0.5)),
        play_reference([backend("a", "outage at 5s")], steadily(30, 0.5)),
    ):
        assert all(r.outcome is not None for r in played.results)
        assert 0 < report_of(played).total.served < 30


def test_slow_from_here_to_there_and_as_before_afterwards() -> None:
    played = play([backend("a", "slow x5 from 30s to 60s")], steadily(12, 8.0))
    pace = {round(r.arrival.at): r.tpot_s or 0.0 for r in played.results}
    assert pace[24] == pytest.approx(pace[64], rel=0.01)
    assert pace[32] == pytest.approx(5 * pace[24], rel=0.01)
    assert pace[24] < pace[56] < pace[32]


def test_a_slow_down_that_ends_in_an_answer_is_felt_at_once() -> None:
    [result] = play([backend("a", "slow x10 from 0s to 10s")], [Arrival(0.0, 100, 1000)]).results
    steps_before = (10.0 - 0.106) / (10 * STEP_S)
    assert result.done_at == pytest.approx(10.0 + (1000 - steps_before) * STEP_S, rel=0.02)


def test_a_full_engine_says_so_and_others_serve() -> None:
    burst = [Arrival(0.001 * n, 500, 200) for n in range(60)]
    played = play([backend("a", max_queued=4), backend("b")], burst, "round_robin")
    assert {r.outcome.verdict for r in played.results if r.outcome} == {Verdict.SERVED}
    assert played.engines["a"].turned_away > 0
    assert report_of(played).backends["a"].turned_away == played.engines["a"].turned_away
    assert played.engines["b"].turned_away == 0


def test_an_engine_that_is_full_for_a_while_is_not_taken_for_dead() -> None:
    played = play([backend("a", "refuse from 10s to 20s", retry_after_s=1.0), backend("b")], steadily(400, 0.1))
    assert {r.outcome.verdict for r in played.results if r.outcome} == {Verdict.SERVED}
    assert served_by(played, "a", 10.5, 19.0) == 0
    assert served_by(played, "a", 26.0, 40.0) > 20
    assert played.engines["a"].turned_away < 40


def test_what_the_engine_has_goes_on_while_it_refuses() -> None:
    [result, late] = play(
        [backend("a", "refuse from 1s to 3s")], [Arrival(0.0, 100, 300), Arrival(2.0, 10, 10)]
    ).results
    assert result.tpot_s == pytest.approx(STEP_S, rel=0.05)
    assert late.first_token_at is None or late.first_token_at > 3.0


def test_the_reference_knows_who_is_full() -> None:
    burst = [Arrival(0.001 * n, 500, 200) for n in range(60)]
    played = play_reference([backend("a", max_queued=4), backend("b")], burst)
    assert sum(stats.turned_away for stats in played.engines.values()) == 0
    assert report_of(played).total.served == 60


def test_noise_is_that_of_single_steps_and_of_the_seed() -> None:
    arrivals = steadily(300, 5.0, prompt=10, answer=2)
    quiet = fmean(r.tpot_s or 0.0 for r in play([backend("a")], arrivals).results)
    one, same, other = (play([backend("a", "noise 20%")], arrivals, seed=seed) for seed in (1, 1, 2))
    paces = [r.tpot_s or 0.0 for r in one.results]
    assert fmean(paces) == pytest.approx(quiet, rel=0.05)
    assert stdev(paces) == pytest.approx(0.2 * quiet, rel=0.2)
    assert one.log_bytes() == same.log_bytes()
    assert [r.tpot_s for r in one.results] == [r.tpot_s for r in same.results] != [r.tpot_s for r in other.results]


def test_noise_of_many_steps_averages_out() -> None:
    played = play([backend("a", "noise 20%")], steadily(40, 20.0, prompt=10, answer=401))
    paces = [r.tpot_s or 0.0 for r in played.results]
    assert stdev(paces) == pytest.approx(0.2 * fmean(paces) / 20, rel=0.4)


def test_the_line_says_it_all() -> None:
    line = "2xmooncake16:outage at 60s for 20s,max_queued=48,retry_after=2s,1xmooncake16:noise 5%,slow x2 from 9s"
    first, _, last = build_cluster(read_engines(line), ())
    assert first.engine.max_queued == 48
    assert first.course == read_course(["outage at 60s for 20s"], 2.0)
    assert last.course == read_course(["noise 5%", "slow x2 from 9s"])


def test_a_full_reference_and_a_full_proxy_agree_on_what_was_sent_where() -> None:
    """Nothing is sent to an engine that is in its outage, by anybody that knows."""
    played = play_reference([backend("a", "outage at 2s for 3s"), backend("b")], steadily(60, 0.1))
    sent = [(at, c.backend) for at, c in played.log if isinstance(c, Dispatch)]
    assert not [at for at, name in sent if name == "a" and 2.0 < at < 5.0]
