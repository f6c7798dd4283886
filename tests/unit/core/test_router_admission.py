"""Who is let in where: the first that fits, those whose limits do not count yet, and nobody."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.plain import read
from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.fleet import Fleet
from proxy.core.jobs.open_job import NOBODY
from proxy.core.learn.entry import Entry
from proxy.core.route.forecasting import foresee, open_entry
from proxy.core.route.router import Router
from proxy.model.backend import BackendSpec
from proxy.model.commands import Reason
from proxy.model.limits import HealthSettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings, SchedulingSettings

NOW = 50.0


class Stage:
    """A fleet of engines that compute 10,000 tokens a second, and its router."""

    def __init__(self, count: int = 2, mode: str = "enforce", probes: float = 0.0, **spec: Any) -> None:
        specs = [BackendSpec(f"b{i}", models=frozenset({"m"}), **spec) for i in range(count)]
        self.fleet = Fleet(specs, HealthSettings())
        found = self.fleet.catalogue.find("m")
        assert found is not None
        self.candidates: Candidates = found
        admission = {"mode": mode, "probes": probes}
        settings = read(SchedulingSettings, {"policy": "goodput", "explore": 0, "admission": admission})
        self.router = Router(self.fleet, settings, random.Random(7))
        for backend in self.fleet.backends:
            backend.model.prefill, backend.model.decode = [0.01, 1.0, 0.0, 0.0], [0.01, 0.004, 0.01, 0.8]
            backend.model.samples = 10**6

    def __getitem__(self, index: int) -> Backend:
        return self.fleet.backends[index]

    def demand(self, prompt: float = 1000.0, **job: Any) -> Demand:
        made = Demand(Job(1, "m", **job), NOW, NOW)
        made.prompt, made.answer, made.answer_high = prompt, 100.0, 200.0
        made.bind(Dials(CoreSettings()))
        return made

    def queue(self, index: int, prompt: float, **job: Any) -> None:
        """A prompt is being computed there since this moment."""
        backend, demand = self[index], self.demand(prompt, **job)
        foresee(backend, demand)
        entry = Entry(demand.job, 0.0, NOW)
        open_entry(entry, backend, demand)
        entry.streams = True
        backend.ledger.dispatch(entry, NOW)
        backend.in_flight += 1

    def pick(self, demand: Demand) -> Backend | None:
        return self.router.pick(self.candidates, demand, NOBODY)


def test_it_goes_where_its_first_token_is_in_time() -> None:
    stage = Stage()
    stage.queue(0, 20_000)
    demand = stage.demand(slo_ttft_s=0.5)
    assert stage.pick(demand) is stage[1]
    assert demand.fitted or demand.reason is None


def test_nobody_in_time_says_why_by_the_nearest() -> None:
    stage = Stage()
    stage.queue(0, 20_000)
    stage.queue(1, 30_000)
    demand = stage.demand(slo_ttft_s=0.5)
    assert stage.pick(demand) is None
    assert demand.reason is Reason.TTFT
    assert set(demand.looked) == {stage[0], stage[1]}
    assert stage.router.retry_after_s(demand) == pytest.approx(2.01 + 0.11 - 0.5 / 1.15, abs=0.05)


@pytest.mark.parametrize(("mode", "goes", "counted"), [("shadow", True, 1), ("off", True, 0), ("enforce", False, 0)])
def test_what_would_be_refused_is_counted_and_sent_while_nothing_is_refused(
    mode: str, goes: bool, counted: int
) -> None:
    stage = Stage(1, mode)
    stage.queue(0, 20_000)
    assert (stage.pick(stage.demand(slo_ttft_s=0.5)) is not None) is goes
    assert sum(stage[0].pool.shadow.values()) == counted


def test_automatic_enforces_once_the_pool_is_trusted() -> None:
    stage = Stage(1, "auto")
    stage.queue(0, 20_000)
    assert stage.pick(stage.demand(slo_ttft_s=0.5)) is stage[0]
    stage[0].pool.trusted = True
    assert stage.pick(stage.demand(slo_ttft_s=0.5)) is None


@pytest.mark.parametrize(
    ("samples", "off", "prompt", "goes"),
    [
        (19, 1.0, 40_000, True),
        (20, 1.0, 40_000, False),
        (20, 1.0, 5_000, True),
        (20, 0.5, 40_000, True),
    ],
)
def test_who_is_grossly_late_is_refused_after_a_few_predictions(
    samples: int, off: float, prompt: int, goes: bool
) -> None:
    stage = Stage(1, "auto")
    stage.queue(0, prompt)
    for _ in range(samples):
        stage[0].pool.model.calibration.learn(1.0, off)
        stage[0].pool.review(100)
    assert (stage.pick(stage.demand(slo_ttft_s=0.5)) is not None) is goes
    assert not stage[0].pool.trusted


@pytest.mark.parametrize(("samples", "waits"), [(0, False), (1, True), (99, True), (100, False)])
def test_bulk_waits_for_promises_while_predictions_are_proving_themselves(samples: int, waits: bool) -> None:
    stage = Stage(2, "auto")
    for _ in range(100):
        for where, before in ((stage[0], stage.demand(slo_ttft_s=0.5)), (stage[1], stage.demand(bulk=True))):
            before.now = NOW - 5.0
            stage.router.asked(stage.candidates, before, where, stage.candidates.open)
    for index in (0, 1):
        stage.queue(index, 20_000)
        stage[index].pool.model.calibration.samples = samples
    assert (stage.pick(stage.demand(bulk=True)) is None) is waits
    assert stage.pick(stage.demand(slo_ttft_s=0.5)) is not None


def test_bulk_alone_waits_for_nobody_until_predictions_are_proven() -> None:
    stage = Stage(1, "auto")
    stage.queue(0, 20_000)
    stage[0].pool.model.calibration.samples = 50
    assert stage.pick(stage.demand(bulk=True)) is stage[0]


def test_a_rehearsal_counts_nothing_and_probes_nobody() -> None:
    stage = Stage(1, "shadow", probes=0.5)
    stage.queue(0, 20_000)
    rehearsal = stage.router.rehearsal()
    assert rehearsal.pick(stage.candidates, stage.demand(slo_ttft_s=0.5), NOBODY) is stage[0]
    assert not stage[0].pool.shadow
    assert all(rehearsal.probe(stage.candidates, stage.demand(slo_ttft_s=0.5)) is None for _ in range(50))


def test_some_would_be_refusals_are_probes_and_bulk_never_is() -> None:
    stage = Stage(1, probes=0.5)
    stage.queue(0, 20_000)
    sent = sum(stage.router.probe(stage.candidates, stage.demand(slo_ttft_s=0.5)) is not None for _ in range(400))
    assert 140 < sent < 260
    assert all(stage.router.probe(stage.candidates, stage.demand(bulk=True)) is None for _ in range(50))


def test_bulk_is_kept_off_what_is_reserved_and_chats_are_not() -> None:
    stage = Stage()
    for second in range(60):
        for _ in range(8):
            asked = stage.demand(slo_ttft_s=0.2)
            asked.now = second
            stage.router.asked(stage.candidates, asked, None, stage.candidates.open)
        asked = stage.demand(20_000, bulk=True)
        asked.now = second
        stage.router.asked(stage.candidates, asked, None, stage.candidates.open)
    bulk = stage.demand(20_000, bulk=True)
    bulk.now = 60.0
    (kept,) = [b for b in stage.fleet.backends if not stage.router.fits(b, stage.candidates, bulk, NOBODY)]
    other = stage[1 - kept.index]
    assert stage.pick(bulk) is other
    other.in_flight = other.limit = 1
    assert stage.pick(bulk) is None
    assert stage.pick(stage.demand(slo_ttft_s=0.5)) is kept


@given(
    prompts=st.lists(st.integers(1, 60_000), min_size=1, max_size=4),
    mine=st.integers(1, 60_000),
    ttft_s=st.one_of(st.none(), st.floats(0.001, 20)),
    bulk=st.booleans(),
)
def test_an_idle_one_always_gets_it_and_nobody_else_is_chosen_who_breaks_a_limit(
    prompts: list[int], mine: int, ttft_s: float | None, bulk: bool
) -> None:
    stage = Stage(len(prompts) + 1)
    for index, prompt in enumerate(prompts):
        stage.queue(index, float(prompt))
    demand = stage.demand(float(mine), slo_ttft_s=ttft_s, bulk=bulk)
    chosen = stage.pick(demand)
    assert chosen is not None, "the last one is idle"
    assert chosen.forecast.reason is None
    if chosen.in_flight and ttft_s is not None and not bulk:
        assert chosen.forecast.ttft * demand.ttft_margin <= ttft_s
