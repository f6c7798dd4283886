"""Thirty-two chats at once on one beginning of 4,000 tokens that no engine has."""

from dataclasses import replace

import pytest

from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.windows import WindowMode, Windows, WindowSettings
from proxy.report.run import SimulatedRun
from proxy.sim.engine.spec import MOONCAKE16
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival, Slo

BURST, SHARED = 32, 4000
BLOCK = 16
ENGINE = replace(MOONCAKE16, prefix_tokens=BLOCK)
PROMISED = Slo(2.0, 0.1)


def warm_up(count: int = 100) -> list[Arrival]:
    """What engines cost is known before the burst comes."""
    prompts = [(300 + n % 9 * 400, tuple(range(-10 * n - 10, -10 * n - 6))) for n in range(count)]
    return [Arrival(0.4 * n, tokens, 20, blocks, slo=PROMISED) for n, (tokens, blocks) in enumerate(prompts)]


def burst(slo: Slo = PROMISED, start: float = 60.0) -> list[Arrival]:
    return [Arrival(start, SHARED, 100, tuple(range(SHARED // BLOCK)), slo=slo) for _ in range(BURST)]


def play(arrivals: list[Arrival], engines: int, mode: WindowMode) -> tuple[SimulatedRun, Scheduler]:
    backends = [SimBackend(BackendSpec(f"b{n}", any_model=True), ENGINE) for n in range(engines)]
    windows = Windows(dict.fromkeys(("interactive", "bulk"), WindowSettings(mode=mode)))
    scheduler = build_scheduler(backends, None, 1)
    return World(backends, scheduler, jobs=SeenByProxy(1, BLOCK, windows=windows)).play(arrivals), scheduler


def computed(played: SimulatedRun) -> int:
    return sum(one.arrival.prompt_tokens - one.cached_tokens for one in played.results[-BURST:])


def ttft_s(played: SimulatedRun) -> list[float]:
    return sorted(one.ttft_s for one in played.results[-BURST:] if one.ttft_s is not None)


@pytest.mark.parametrize("engines", [1, 4])
def test_the_beginning_is_computed_once(engines: int) -> None:
    before, _ = play([*warm_up(), *burst()], engines, "off")
    after, scheduler = play([*warm_up(), *burst()], engines, "adaptive")
    assert computed(after) <= 1.2 * SHARED
    assert computed(after) < computed(before)
    assert scheduler.counts(0.0).followed == BURST - 1
    assert len(ttft_s(after)) == BURST
    assert ttft_s(after)[-1] <= 1.15 * ttft_s(before)[-1]


def test_where_it_is_there_already_nobody_is_harmed() -> None:
    """More than one engine is sent at once go elsewhere, and have it computed there: once."""
    first = burst()[:1]
    arrivals = [*warm_up(), *first, *burst(start=70.0)]
    before, _ = play(arrivals, 4, "off")
    after, _ = play(arrivals, 4, "adaptive")
    assert computed(after) <= computed(before)
    assert ttft_s(after)[-1] <= 1.15 * ttft_s(before)[-1]


def test_where_there_is_no_time_nobody_waits() -> None:
    arrivals = [*warm_up(), *burst(Slo(0.4, 0.1))]
    before, _ = play(arrivals, 4, "off")
    after, _ = play(arrivals, 4, "adaptive")
    assert after.log_bytes() == before.log_bytes()
