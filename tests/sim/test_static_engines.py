"""Engines that run one batch at a time, or answer one request after another: found out, and goodput follows."""

import math
from dataclasses import replace
from random import Random

from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Dispatch
from proxy.model.outcome import Verdict
from proxy.model.windows import WindowMode, Windows, WindowSettings
from proxy.report.run import SimulatedRun
from proxy.sim.engine.spec import MOONCAKE16, EngineKind
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival, Slo

PROMISED = Slo(2.0, 0.1)


def traffic(rate: float, seed: int, answer: int = 64, slo: Slo = PROMISED, seconds: float = 120.0) -> list[Arrival]:
    rng, at, found = Random(seed), 0.0, []
    while at < seconds:
        at += rng.expovariate(rate)
        prompt, tokens = 200 * math.exp(rng.gauss(0, 0.5)), answer * math.exp(rng.gauss(0, 0.6))
        found.append(Arrival(at, max(10, round(prompt)), max(1, round(tokens)), slo=slo))
    return found


def play(
    arrivals: list[Arrival], kind: EngineKind, count: int, *, mode: WindowMode = "adaptive"
) -> tuple[SimulatedRun, Scheduler]:
    engine = replace(MOONCAKE16, max_num_seqs=32).as_kind(kind)
    backends = [SimBackend(BackendSpec(f"b{n}", any_model=True), engine) for n in range(count)]
    scheduler = build_scheduler(backends, None, 1)
    windows = Windows(dict.fromkeys(("interactive", "bulk"), WindowSettings(mode=mode)))
    return World(backends, scheduler, jobs=SeenByProxy(0, 512, windows=windows)).play(arrivals), scheduler


def good(played: SimulatedRun) -> float:
    kept = [
        one
        for one in played.results
        if one.outcome is not None
        and one.outcome.verdict is Verdict.SERVED
        and (one.ttft_s or 0.0) <= (one.arrival.slo.ttft_s or math.inf)
        and (one.tpot_s or 0.0) <= (one.arrival.slo.tpot_s or math.inf)
    ]
    return len(kept) / len(played.results)


def test_at_four_fifths_of_what_static_engines_can_do_goodput_is_nearly_twice_that_of_sending_all() -> None:
    """Four engines, batches of 32 full ones would answer 23 a second."""
    arrivals = traffic(18.4, 1)
    before, _ = play(arrivals, EngineKind.STATIC, 4, mode="off")
    after, scheduler = play(arrivals, EngineKind.STATIC, 4)
    assert all(backend.batching.static for backend in scheduler._fleet.backends)
    assert good(after) >= 1.9 * good(before)


def test_serial_engines_answer_the_shortest_first_and_nobody_waits_for_ever() -> None:
    arrivals = [
        replace(one, tenant="0000000a" if n % 4 else "0000000b", output_tokens=20 if n % 4 else 400)
        for n, one in enumerate(traffic(0.8, 2, slo=Slo(), seconds=200.0))
    ]
    before, _ = play(arrivals, EngineKind.SERIAL, 1, mode="off")
    after, scheduler = play(arrivals, EngineKind.SERIAL, 1)
    assert scheduler._fleet.backends[0].batching.serial

    def mean_s(played: SimulatedRun) -> float:
        served = [one.e2e_s for one in played.results if one.outcome is not None and one.e2e_s is not None]
        return sum(served) / len(served)

    assert mean_s(after) < 0.8 * mean_s(before)
    refused = [one for one in after.results if one.outcome is None or one.outcome.verdict is not Verdict.SERVED]
    assert len(refused) <= len(
        [one for one in before.results if one.outcome is None or one.outcome.verdict is not Verdict.SERVED]
    )


def test_engines_that_batch_continuously_are_never_taken_for_static() -> None:
    for rate, answer in ((2.0, 64), (20.0, 300), (60.0, 4)):
        _, scheduler = play(traffic(rate, 3, answer, seconds=40.0), EngineKind.CONTINUOUS, 2)
        assert not any(backend.batching.static for backend in scheduler._fleet.backends)


def test_windows_change_nothing_for_chats_on_engines_that_batch_continuously() -> None:
    """Adaptive or off: the very same commands."""
    engines = [SimBackend(BackendSpec(f"b{n}", any_model=True), MOONCAKE16) for n in range(3)]

    def commands(mode: WindowMode) -> bytes:
        windows = Windows(dict.fromkeys(("interactive", "bulk"), WindowSettings(mode=mode)))
        jobs = SeenByProxy(1, 16, windows=windows)
        return (
            World(engines, build_scheduler(engines, None, 1), jobs=jobs).play(traffic(40.0, 4, seconds=30)).log_bytes()
        )

    assert commands("adaptive") == commands("off")


def test_embeddings_are_merged_where_an_engine_is_busy_and_more_of_them_are_answered() -> None:
    texts = [replace(one, prompt_tokens=20, output_tokens=0, stream=False) for one in traffic(1500.0, 5, seconds=4.0)]
    engine = replace(MOONCAKE16, max_num_seqs=32).as_kind(EngineKind.SERIAL)
    engines = [SimBackend(BackendSpec("b", any_model=True), replace(engine, max_num_seqs=8))]

    def played(mode: WindowMode) -> SimulatedRun:
        windows = Windows(dict.fromkeys(("interactive", "bulk"), WindowSettings(mode=mode)))
        return World(engines, build_scheduler(engines, None, 1), jobs=SeenByProxy(1, 16, windows=windows)).play(texts)

    merged = played("adaptive")
    sizes = [len(one.jobs) for _, one in merged.log if isinstance(one, Dispatch)]
    assert max(sizes) > 4
    assert sum(sizes) >= len([one for one in merged.results if one.outcome is not None and one.reason == ""])
    assert all(one.outcome is not None for one in merged.results)
