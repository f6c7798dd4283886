"""Engines that tell nobody how many requests they run: their queue stays short, none of their work is lost, and what
waits does so where it has an order. Each is compared with the same scheduler that sends everything."""

import random
from dataclasses import dataclass, replace

import pytest

from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Report
from proxy.model.outcome import Verdict
from proxy.model.request import Job
from proxy.model.scheduling import AdmissionSettings, SchedulingSettings
from proxy.report.run import Result
from proxy.sim.engine.spec import EngineKind, EngineSpec
from proxy.sim.world.cluster import MetricsSource, SimBackend
from proxy.sim.world.modelled_backend import ModelledBackend
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival

pytestmark = pytest.mark.slow

BASE = EngineSpec(max_model_len=70_000, token_budget=2048)
ENGINES = {
    "serial": BASE.as_kind(EngineKind.SERIAL),
    "8": replace(BASE, max_num_seqs=8),
    "32": replace(BASE, max_num_seqs=32),
    "256": replace(BASE, max_num_seqs=256),
    "memory": replace(BASE, max_num_seqs=4000, token_budget=8192, kv_tokens=80_000),
    "any": replace(BASE, max_num_seqs=4000, token_budget=8192, kv_tokens=4_000_000),
}
SATURATED = {"serial": 1.0, "8": 6.0, "32": 9.0, "256": 14.0, "memory": 11.0, "any": 14.0}
"""Chats a second, about twice what each can."""


@dataclass
class Run:
    results: list[Result]
    longest_queue: int
    """In the engine."""
    computed: list[float]
    """By second."""

    def served(self, kind: str | None = None) -> list[Result]:
        return [r for r in self.of(kind) if r.outcome is not None and r.outcome.verdict is Verdict.SERVED]

    def of(self, kind: str | None) -> list[Result]:
        return [r for r in self.results if kind is None or r.arrival.traffic_class == kind]

    def work(self, until: float) -> float:
        """Tokens that the engine had computed by then, those of answers and a tenth of those of prompts."""
        return self.computed[int(until)]

    def ttft(self, share: float, kind: str | None = None) -> float:
        seen = sorted(r.ttft_s for r in self.served(kind) if r.ttft_s is not None)
        return seen[int(share * (len(seen) - 1))]


class Watching:
    """A scheduler that looks into the engine whenever it is told or asked something."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.servers: dict[str, ModelledBackend] = {}
        self.longest_queue = 0
        self.computed = [0.0]

    def _look(self, now: float) -> None:
        (server,) = self.servers.values()
        self.longest_queue = max(self.longest_queue, server.engine.waiting)
        stats = server.total()
        while len(self.computed) <= int(now):
            self.computed.append(stats.generation_tokens + 0.1 * stats.prompt_tokens)

    def submit(self, job: Job, now: float) -> list[Command]:
        self._look(now)
        return self._scheduler.submit(job, now)

    def cancel(self, job_id: int, now: float) -> list[Command]:
        self._look(now)
        return self._scheduler.cancel(job_id, now)

    def observe(self, report: Report, now: float) -> list[Command]:
        self._look(now)
        return self._scheduler.observe(report, now)

    def tick(self, now: float) -> list[Command]:
        self._look(now)
        return self._scheduler.tick(now)

    def wakeup_at(self) -> float | None:
        return self._scheduler.wakeup_at()


def play(
    engine: EngineSpec, arrivals: list[Arrival], *, learned: bool = True, metrics: MetricsSource = MetricsSource.SILENT
) -> Run:
    settings = SchedulingSettings(admission=AdmissionSettings(concurrency="learned" if learned else "off"))
    backends = [SimBackend(BackendSpec("a", models=frozenset({"sim"})), engine, metrics=metrics)]
    watching = Watching(build_scheduler(backends, None, 1, scheduling=settings))
    world = World(backends, watching)
    watching.servers = world.servers
    results = list(world.play(arrivals).results)
    return Run(results, watching.longest_queue, watching.computed + [watching.computed[-1]] * 200)


def chats(rate: float, seconds: float, seed: int, **more: object) -> list[Arrival]:
    rng, at, made = random.Random(seed), 0.0, []
    while (at := at + rng.expovariate(rate)) < seconds:
        prompt, answer = int(rng.lognormvariate(6.2, 0.8)) + 10, int(rng.lognormvariate(5, 0.8)) + 2
        made.append(Arrival(at, prompt, answer, **more))  # type: ignore[arg-type]
    return made


def bulk(count: int, at: float, seed: int, *, stream: bool = True) -> list[Arrival]:
    rng, made = random.Random(seed), []
    for number in range(count):
        prompt, answer = int(rng.lognormvariate(6.2, 0.8)) + 10, int(rng.lognormvariate(5.3, 0.6)) + 2
        made.append(Arrival(at + number / count, prompt, answer, stream=stream, traffic_class="bulk"))
    return made


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("seed", [1, 2])
def test_in_overload_no_work_is_lost_and_the_queue_of_the_engine_is_short(name: str, seed: int) -> None:
    seconds = 120.0 if name == "serial" else 60.0
    arrivals = chats(SATURATED[name], seconds, seed)
    told, all_of_it = (play(ENGINES[name], arrivals, learned=learned) for learned in (True, False))
    assert told.work(seconds) >= 0.96 * all_of_it.work(seconds)
    assert told.longest_queue <= 45
    assert told.ttft(0.5) < 31.0


@pytest.mark.parametrize("name", ENGINES)
def test_below_saturation_nobody_notices(name: str) -> None:
    arrivals = chats(SATURATED[name] / 2.6, 60.0, 3)
    told, all_of_it = (play(ENGINES[name], arrivals, learned=learned) for learned in (True, False))
    assert len(told.served()) == len(arrivals)
    assert told.ttft(0.99) <= 1.02 * all_of_it.ttft(0.99)


@pytest.mark.parametrize("name", ["8", "32", "256", "any"])
def test_answers_of_a_few_tokens(name: str) -> None:
    """Many begin in each step, and end a few steps later."""
    rng = random.Random(1)
    arrivals = sorted((Arrival(20 * rng.random(), 100, 8) for _ in range(3200)), key=lambda a: a.at)
    told, all_of_it = (play(ENGINES[name], arrivals, learned=learned) for learned in (True, False))
    assert told.work(20.0) >= 0.96 * all_of_it.work(20.0)


def test_unlike_sizes_side_by_side() -> None:
    rng, arrivals = random.Random(4), []
    for number in range(400):
        prompt = 60_000 if rng.random() < 0.02 else 100
        arrivals.append(Arrival(number / 6, prompt, rng.choice((8, 8, 200, 4000))))
    for name in ("32", "256"):
        told, all_of_it = (play(ENGINES[name], arrivals, learned=learned) for learned in (True, False))
        assert told.work(60.0) >= 0.95 * all_of_it.work(60.0), "while more come"


def test_a_burst_from_cold_is_served_as_far_as_it_can_be_in_time() -> None:
    rng = random.Random(1)
    arrivals = sorted((Arrival(rng.random(), 100, 8) for _ in range(2000)), key=lambda a: a.at)
    for name in ("32", "256", "any"):
        told, all_of_it = (play(ENGINES[name], arrivals, learned=learned) for learned in (True, False))
        in_time = [sum(1 for r in run.served() if (r.ttft_s or 0.0) < 30.0) for run in (told, all_of_it)]
        assert in_time[0] >= 0.99 * in_time[1]
        assert told.longest_queue < 200


@pytest.mark.parametrize(("name", "rate", "longest"), [("8", 6.0, 70), ("32", 9.0, 70)])
def test_answers_in_one_piece(name: str, rate: float, longest: int) -> None:
    arrivals = chats(rate, 120.0, 5, stream=False)
    told, all_of_it = (play(ENGINES[name], arrivals, learned=learned) for learned in (True, False))
    assert told.work(120.0) >= 0.97 * all_of_it.work(120.0)
    assert told.longest_queue <= longest < all_of_it.longest_queue


def test_metrics_shorten_the_queue_of_answers_in_one_piece_at_once() -> None:
    arrivals = chats(6.0, 60.0, 5, stream=False)
    silent, honest = (
        play(ENGINES["8"], arrivals, metrics=told) for told in (MetricsSource.SILENT, MetricsSource.HONEST)
    )
    assert honest.longest_queue <= silent.longest_queue
    assert honest.work(60.0) >= 0.97 * silent.work(60.0)


def test_embeddings_are_not_throttled() -> None:
    rng = random.Random(1)
    arrivals = sorted((Arrival(10 * rng.random(), 200, 1, stream=False) for _ in range(3000)), key=lambda a: a.at)
    told, all_of_it = (play(ENGINES["any"], arrivals, learned=learned) for learned in (True, False))
    assert told.work(10.0) >= 0.97 * all_of_it.work(10.0)


@pytest.mark.parametrize("name", ["32", "256", "any"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_flood_of_bulk_is_hardly_noticed_by_chats(name: str, stream: bool) -> None:
    alone = chats(0.15 * SATURATED[name], 150.0, 1, traffic_class="interactive")
    both = sorted(alone + bulk(1000, 5.0, 1, stream=stream), key=lambda a: a.at)
    quiet, told, flooded = (
        play(ENGINES[name], alone),
        play(ENGINES[name], both),
        play(ENGINES[name], both, learned=False),
    )
    assert len(told.served("interactive")) == len(alone)
    assert told.ttft(0.99, "interactive") < max(1.3, 4 * quiet.ttft(0.99))
    assert told.ttft(0.99, "interactive") < 0.05 * flooded.ttft(0.99, "interactive")
    assert told.work(150.0) >= 0.6 * flooded.work(150.0)


@pytest.mark.parametrize("most", [10, 12, 16])
@pytest.mark.parametrize("load", [0.9, 1.2, 2.0])
def test_an_engine_that_refuses_is_full_not_ill(most: int, load: float) -> None:
    arrivals = chats(2.7 * load, 90.0, 2)
    refusing, patient = play(replace(ENGINES["8"], max_queued=most), arrivals), play(ENGINES["8"], arrivals)
    assert refusing.work(90.0) >= 0.96 * patient.work(90.0)
    assert not [r for r in refusing.results if r.reason in ("busy", "ejected", "no_backend")]
