"""The real scheduler on virtual time: determinism, one outcome each, failures, departures, and a golden report."""

import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from proxy.model.backend import BackendSpec
from proxy.model.limits import HoldSettings
from proxy.model.outcome import Verdict
from proxy.report.run import SimulatedRun
from proxy.sim.engine.spec import HIGH_THROUGHPUT, LOW_LATENCY, MOONCAKE16, EngineSpec
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.world import Outage, World, build_scheduler
from proxy.workload.arrival import Arrival

GOLDEN = Path(__file__).parent / "golden" / "two_pools.txt"


def backend(name: str, engine: EngineSpec = MOONCAKE16, limit: int | None = None) -> SimBackend:
    return SimBackend(BackendSpec(name, models=frozenset({"sim"}), max_concurrency=limit), engine)


def trace(count: int, seed: int, gap_s: float = 0.2, patience_s: float | None = None) -> list[Arrival]:
    """Integer arithmetic only, so that the golden report does not hang on a machine's logarithm."""
    rng, at, out = Random(seed), 0, []
    for _ in range(count):
        at += rng.randrange(round(2000 * gap_s))
        family, prompt = rng.randrange(4), rng.randrange(100, 4000)
        hashes = tuple(family * 1000 + i for i in range(prompt // 512))
        leaves = patience_s if rng.randrange(8) == 0 else None
        out.append(Arrival(at / 1000, prompt, rng.randrange(1, 300), hashes, patience_s=leaves))
    return out


def play(
    arrivals: list[Arrival],
    backends: list[SimBackend],
    policy: str = "least_outstanding",
    seed: int = 1,
    outages: tuple[Outage, ...] = (),
    hold: HoldSettings | None = None,
) -> SimulatedRun:
    return World(backends, build_scheduler(backends, policy, seed, hold=hold), outages).play(arrivals)


@pytest.mark.parametrize("policy", ["least_outstanding", "power_of_two", "round_robin"])
def test_same_arrivals_and_seed_same_log_to_the_byte(policy: str) -> None:
    arrivals, outage = trace(300, 5, patience_s=1.0), (Outage("b", 10.0, 14.0),)
    first, second = (
        play(arrivals, [backend("a", limit=8), backend("b"), backend("c")], policy, 7, outage) for _ in "ab"
    )
    assert first.log_bytes() == second.log_bytes()
    assert len(first.log) >= 290
    assert first.results == second.results


def test_another_seed_another_log_where_the_policy_draws() -> None:
    arrivals, backends = trace(200, 5), [backend("a"), backend("b"), backend("c")]
    logs = {play(arrivals, backends, "power_of_two", seed).log_bytes() for seed in (1, 2, 3)}
    assert len(logs) == 3


def test_the_log_does_not_hang_on_the_hash_seed_of_the_process() -> None:
    code = (
        "import hashlib; from tests.sim.test_world import *;"
        "log = play(trace(80, 3), [backend('a'), backend('b')], 'power_of_two').log_bytes();"
        "print(hashlib.sha256(log).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = play(trace(80, 3), [backend("a"), backend("b")], "power_of_two").log_bytes()
    assert seen == {hashlib.sha256(here).hexdigest().encode()}


def test_everything_offered_has_one_outcome_and_every_permit_comes_back() -> None:
    backends = [backend("a", limit=4), backend("b", limit=4)]
    scheduler = build_scheduler(backends, "least_outstanding", 1)
    played = World(backends, scheduler, [Outage("a", 5.0, 9.0)]).play(trace(400, 9, gap_s=0.05, patience_s=0.7))
    verdicts = Counter(result.outcome.verdict for result in played.results if result.outcome)
    assert sum(verdicts.values()) == 400
    assert verdicts[Verdict.SERVED] > 50
    assert verdicts[Verdict.SHED] > 0
    assert verdicts[Verdict.CANCELLED] > 0
    counts = scheduler.counts(played.ended_at)
    assert (counts.in_flight, counts.held) == (0, 0)
    assert counts.offered == counts.finished + counts.refused + counts.cancelled == 400


def test_times_are_those_of_the_engine_when_nobody_else_is_there() -> None:
    [result] = play([Arrival(2.0, 1000, 11)], [backend("a")]).results
    assert result.ttft_s == pytest.approx(MOONCAKE16.prefill_s(0, 1000))
    steps = sum(MOONCAKE16.decode_s(1, 1000 + i) for i in range(10))
    assert result.e2e_s == pytest.approx(MOONCAKE16.prefill_s(0, 1000) + steps)
    assert result.tpot_s == pytest.approx(steps / 10)


def test_what_lies_before_an_engine_comes_before_its_time_and_takes_nobody_elses() -> None:
    far = replace(MOONCAKE16, request_s=0.02)
    alone = [play([Arrival(2.0, 1000, 11)], [backend("a", spec)]).results[0] for spec in (MOONCAKE16, far)]
    assert (alone[1].ttft_s or 0) - (alone[0].ttft_s or 0) == pytest.approx(0.02)
    assert alone[1].tpot_s == pytest.approx(alone[0].tpot_s)
    left, served = play([Arrival(0.0, 100, 50, patience_s=0.01), Arrival(0.5, 100, 50)], [backend("a", far)]).results
    assert left.outcome is not None
    assert (left.outcome.end_code, left.done_at, left.first_token_at) == ("CH", 0.01, None)
    assert served.outcome is not None
    assert served.outcome.verdict is Verdict.SERVED


def test_a_backend_that_dies_before_the_first_token_costs_a_retry_and_not_the_request() -> None:
    arrivals = [Arrival(0.0, 20_000, 10) for _ in range(2)]
    played = play(arrivals, [backend("a"), backend("b")], outages=(Outage("a", 0.5, 60.0),))
    assert [result.outcome.verdict for result in played.results if result.outcome] == [Verdict.SERVED] * 2
    assert {result.backend for result in played.results} == {"b"}
    assert sorted(result.attempts for result in played.results) == [1, 2]


def test_a_backend_that_dies_in_the_middle_of_an_answer_fails_it() -> None:
    [result] = play([Arrival(0.0, 100, 1000)], [backend("a"), backend("b")], outages=(Outage("a", 3.0, 4.0),)).results
    assert result.outcome is not None
    assert (result.outcome.verdict, result.outcome.end_code) == (Verdict.FAILED, "US")
    assert result.done_at == 3.0
    assert result.tpot_s is None


def test_a_client_that_leaves_frees_the_engine_for_the_next() -> None:
    small = replace(MOONCAKE16, max_num_seqs=1)
    arrivals = [Arrival(0.0, 100, 5000, patience_s=1.0), Arrival(0.1, 100, 10)]
    first, second = play(arrivals, [backend("a", small)]).results
    assert first.outcome is not None
    assert (first.outcome.end_code, first.done_at) == ("CS", 1.0)
    assert second.first_token_at is not None
    assert 1.0 < second.first_token_at < 1.1


def test_a_held_job_whose_client_leaves_ends_as_held() -> None:
    arrivals = [Arrival(0.0, 100, 500), Arrival(0.1, 100, 10, patience_s=0.5)]
    _, second = play(arrivals, [backend("a", limit=1)]).results
    assert second.outcome is not None
    assert (second.outcome.end_code, second.attempts) == ("CQ", 0)


def test_what_exceeds_the_context_is_the_clients_fault_and_not_the_backends() -> None:
    [result] = play([Arrival(0.0, MOONCAKE16.max_model_len, 10)], [backend("a")]).results
    assert result.outcome is not None
    assert (result.outcome.verdict, result.outcome.end_code) == (Verdict.FAILED, "CH")


def test_a_shared_prefix_is_computed_once() -> None:
    hashes = tuple(range(8))
    arrivals = [Arrival(0.0, 4100, 2, hashes), Arrival(5.0, 4100, 2, hashes)]
    first, second = play(arrivals, [backend("a")]).results
    assert (first.cached_tokens, second.cached_tokens) == (0, 4096)
    assert first.ttft_s is not None
    assert second.ttft_s is not None
    assert second.ttft_s < first.ttft_s / 10


def report(played: SimulatedRun) -> str:
    """What a reader wants to compare: who went where, and when it had its first and last token."""
    lines = []
    for number, result in enumerate(played.results):
        assert result.outcome is not None
        times = [f"{value:9.4f}" if value is not None else "        -" for value in (result.ttft_s, result.e2e_s)]
        end = f"{result.outcome.verdict.value:9} {result.outcome.end_code}"
        lines.append(f"{number:3} {result.backend or '-':8} {result.attempts} {end} {' '.join(times)}")
    return "\n".join(lines) + "\n"


def test_golden_report_of_a_small_trace() -> None:
    """A change here is a change of the model or of the scheduler: look at it, then run this file as a program."""
    assert report(golden()) == GOLDEN.read_text()


def golden() -> SimulatedRun:
    backends = [
        backend("fast-1", replace(LOW_LATENCY, prefix_tokens=512), limit=4),
        backend("fast-2", replace(LOW_LATENCY, prefix_tokens=512), limit=4),
        backend("bulk-1", replace(HIGH_THROUGHPUT, prefix_tokens=512), limit=8),
    ]
    outages = (Outage("fast-2", 2.0, 3.5),)
    return play(trace(60, 11, gap_s=0.08, patience_s=0.6), backends, seed=3, outages=outages)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(report(golden()))
