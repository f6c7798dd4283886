"""Seats are learned from nothing but what vLLM's metrics tell, before the modelled engine; and nothing else is."""

from dataclasses import replace

import pytest

from proxy.model.backend import BackendSpec
from proxy.model.scheduling import SchedulingSettings
from proxy.sim.engine.spec import LOW_LATENCY, MOONCAKE16, EngineKind, EngineSpec
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival


def seats_after(engine: EngineSpec, arrivals: list[Arrival]) -> float | None:
    backends = [SimBackend(BackendSpec("a", models=frozenset({"sim"})), engine)]
    scheduler = build_scheduler(backends, None, 1, scheduling=SchedulingSettings())
    played = World(backends, scheduler, scrape_interval_s=1.0).play(arrivals)
    return scheduler.backends(played.ended_at)[0].seats


def burst(count: int, prompt: int, answer: int, gap_s: float = 0.01) -> list[Arrival]:
    return [Arrival(i * gap_s, prompt, answer + i % 50) for i in range(count)]


@pytest.mark.parametrize(
    ("engine", "seats"),
    [
        (LOW_LATENCY, 16),
        (replace(LOW_LATENCY, max_num_seqs=4), 4),
        (MOONCAKE16.as_kind(EngineKind.SERIAL), 1),
    ],
)
def test_seats_that_keep_requests_waiting_are_learned(engine: EngineSpec, seats: int) -> None:
    assert seats_after(engine, burst(120, 300, 200)) == seats


def test_steps_full_of_prompts_are_no_seats() -> None:
    assert seats_after(MOONCAKE16, burst(60, 20_000, 5)) is None


def test_memory_that_is_full_is_no_seat() -> None:
    small = replace(MOONCAKE16, kv_tokens=20_000, max_model_len=20_000)
    assert seats_after(small, burst(60, 2000, 400)) is None


def test_a_light_load_teaches_nothing() -> None:
    assert seats_after(LOW_LATENCY, burst(60, 300, 100, gap_s=0.5)) is None
