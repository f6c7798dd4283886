"""What the core shows of itself."""

from proxy.core.fleet.health import HealthState
from proxy.core.shown.views import BackendView
from proxy.model.commands import Finished, FirstToken, Load
from proxy.model.faults import Kind
from tests.unit.core.playing import Play, fault, spec


def test_a_backend_of_which_nothing_is_known_yet() -> None:
    view = Play(spec("a", models=None)).view("a")
    assert view == BackendView(
        name="a",
        pool="default",
        in_flight=0,
        permits=None,
        state=HealthState.HEALTHY,
        ejected_until=None,
        share=1.0,
        failures_in_a_row=0,
        busy=0,
        models=None,
        any_model=False,
        service_s=None,
        ttft_factors=view.ttft_factors,
        ttft_coverage=view.ttft_coverage,
        prefix_cap=view.prefix_cap,
        learned_prefill=view.learned_prefill,
        learned_tpot_s=view.learned_tpot_s,
    )


def test_what_is_out_and_what_was_learned_is_shown() -> None:
    play = Play(spec("a", 4))
    play.submit(1, prompt_tokens=1000, stream=True, slo_tpot_s=0.5, prefix=(1, 2))
    view = play.view("a")
    assert (view.in_flight, view.permits, view.decoding, view.tightest_tpot_s) == (1, 4, 0, 0.5)
    assert view.backlog_s > 0
    assert view.duty > 0
    assert view.prefill_rate > 0
    assert view.kv_used > 1000
    assert view.prefix_blocks == 2
    play.now += 0.5
    play.scheduler.observe(FirstToken(play.attempt(1)), play.now)
    assert (play.view("a").decoding, play.view("a").backlog_s) == (1, 0.0)
    play.now += 1.5
    play.scheduler.observe(Finished(play.attempt(1), 1000, None, 50), play.now)
    assert (play.view("a").in_flight, play.view("a").service_s, play.view("a").kv_used) == (0, 2.0, 0.0)
    assert play.view("a").samples == 1


def test_what_its_metrics_say_is_shown() -> None:
    play = Play(spec("a"))
    play.scheduler.observe(Load("a", running=3.0, waiting=2.0, kv_tokens=5e4, seats=8.0), play.now)
    view = play.view("a")
    assert (view.foreign, view.kv_tokens, view.seats, view.scrapes_ignored) == (5.0, 5e4, 8.0, 0)
    play.scheduler.observe(Load("a", running=-1.0), play.now)
    assert play.view("a").scrapes_ignored == 1


def test_a_pause_and_the_places_that_fitted() -> None:
    play = Play(spec("a", 4))
    play.submit(1)
    play.fail(1, fault(Kind.BUSY, 7.0))
    view = play.view("a")
    assert (view.busy, view.places, view.paused_until) == (1, 1, play.now + 7.0)


def test_jobs_balance() -> None:
    play = Play(spec("a", 1))
    for number in range(4):
        play.submit(number, body_bytes=10)
    play.finish(0)
    play.cancel(1)
    counts = play.counts
    assert (counts.offered, counts.finished, counts.cancelled, counts.in_flight, counts.held) == (4, 1, 1, 1, 1)
    assert counts.held_bytes == 10


def test_a_pool_is_shown_with_its_gate() -> None:
    play = Play(spec("a", pool="p"), spec("b", pool="p"), policy="goodput")
    (pool,) = play.scheduler.pools(play.now)
    assert (pool.name, pool.enforces, pool.samples, pool.utilisation, pool.shadow) == ("p", False, 0, 0.0, {})
    play.submit(1, prompt_tokens=1000)
    assert play.scheduler.pools(play.now)[0].utilisation > 0


def test_whose_turn_a_backend_has_is_shown() -> None:
    play = Play(spec("a"), spec("spare", order=1))
    assert [(view.name, view.order) for view in play.scheduler.backends(play.now)] == [("a", 0), ("spare", 1)]
