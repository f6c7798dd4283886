"""How fast answers flow, told while they flow; and streams that no longer do."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from proxy.config.plain import read
from proxy.core.learn.cost_model import FULL_TRUST, CostModel, PoolModel
from proxy.core.learn.decode_rate import DecodeRate
from proxy.core.learn.entry import Entry
from proxy.core.learn.ledger import Ledger
from proxy.core.scheduler import Scheduler
from proxy.core.shown.views import BackendView
from proxy.model.backend import BackendSpec
from proxy.model.commands import Dispatch, Failed, Finished, FirstToken, Flowed, Restarted
from proxy.model.faults import Kind, upstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings
from tests.support.attempts import attempt_of

STEP_S = 0.02
TOKENS = 50
LEARNT = 40
"""Answers after which a pool knows what to expect."""


def anybody(_: str) -> bool:
    return True


class Bed:
    """A scheduler before engines that take 20 ms a token, which it has learned."""

    def __init__(
        self, *names: str, step_s: float = STEP_S, retries: RetrySettings | None = None, **scheduling: Any
    ) -> None:
        self.now = 0.0
        self._step_s = step_s
        self.scheduler = Scheduler(
            [BackendSpec(name, models=frozenset({"m"})) for name in names],
            retries=retries or RetrySettings(),
            hold=HoldSettings(),
            health=HealthSettings(),
            rng=random.Random(1),
            scheduling=read(SchedulingSettings, {"policy": "goodput", **scheduling}),
        )
        self._ids = 0

    def learn(self) -> "Bed":
        for _ in range(LEARNT):
            for job_id, backend in [self.begin() for _ in self.names]:
                self.first_token(job_id, backend, after_s=0.05)
                self.now += self._step_s * (TOKENS - 1)
                self.scheduler.observe(Finished(attempt_of(self.scheduler, job_id), 1000, 0, TOKENS), self.now)
        return self

    @property
    def names(self) -> list[str]:
        return [view.name for view in self.scheduler.backends(self.now)]

    def view(self, name: str) -> BackendView:
        return next(v for v in self.scheduler.backends(self.now) if v.name == name)

    def begin(self, **fields: Any) -> tuple[int, str]:
        self._ids += 1
        job = Job(self._ids, "m", stream=True, prompt_tokens=1000, **fields)
        (command,) = self.scheduler.submit(job, self.now)
        assert isinstance(command, Dispatch), command
        return job.id, command.backend

    def first_token(self, job_id: int, backend: str, after_s: float = 0.05) -> None:
        self.now += after_s
        self.scheduler.observe(FirstToken(attempt_of(self.scheduler, job_id)), self.now)

    def stream(self, **fields: Any) -> tuple[int, str]:
        job_id, backend = self.begin(**fields)
        self.first_token(job_id, backend)
        return job_id, backend

    def gives_up(self, job_id: int, silent_s: float, now: float, fits: Callable[[str], bool] | None) -> bool:
        return self.scheduler.gives_up(attempt_of(self.scheduler, job_id), silent_s, now, fits)

    def flow(self, backend: str, seconds: int, tokens_per_s: float, streams: int = 1) -> list[float]:
        """How slow its answers are said to be, after each second in which so many tokens came."""
        told = []
        for _ in range(seconds):
            self.now += 1.0
            self.scheduler.observe(Flowed(backend, float(streams), streams * tokens_per_s), self.now)
            told.append(self.view(backend).slow_decode)
        return told


def test_answers_that_flow_five_times_slower_say_so_within_seconds() -> None:
    bed = Bed("a").learn()
    bed.stream()
    usual = bed.flow("a", 4, 1 / STEP_S, streams=4)[-1]
    told = bed.flow("a", 8, 0.2 / STEP_S, streams=4)
    assert told[0] == pytest.approx(usual)
    assert told[2] > 2 * usual
    assert 3.5 * usual < told[-1] < 5.5 * usual


def test_a_second_without_tokens_or_half_the_speed_is_no_alarm() -> None:
    bed = Bed("a").learn()
    bed.stream()
    usual = bed.flow("a", 4, 1 / STEP_S)[-1]
    assert bed.flow("a", 1, 0.0) == pytest.approx([usual])
    assert bed.flow("a", 20, 0.55 / STEP_S) == pytest.approx([usual] * 20)


def test_it_is_forgotten_as_soon_as_tokens_come_again() -> None:
    bed = Bed("a").learn()
    bed.stream()
    usual = bed.flow("a", 2, 1 / STEP_S)[-1]
    assert bed.flow("a", 5, 0.0)[-1] > 2 * usual
    assert bed.flow("a", 4, 1 / STEP_S)[-1] == pytest.approx(usual)


def test_while_a_prompt_is_computed_nothing_need_flow() -> None:
    bed = Bed("a").learn()
    bed.stream()
    usual = bed.flow("a", 2, 1 / STEP_S)[-1]
    job_id, backend = bed.begin()
    bed.flow("a", 5, 0.0)
    bed.scheduler.cancel(job_id, bed.now)
    assert bed.view(backend).slow_decode < 1.5 * usual


def test_nothing_is_slow_before_it_is_known_what_is_usual() -> None:
    bed = Bed("a")
    bed.stream()
    assert len(set(bed.flow("a", 8, 0.5))) == 1


def test_a_gap_between_reports_and_a_restart_begin_anew() -> None:
    bed = Bed("a").learn()
    bed.stream()
    usual = bed.flow("a", 2, 1 / STEP_S)[-1]
    bed.now += 60.0
    bed.scheduler.observe(Flowed("a", 1.0, 0.0), bed.now)
    assert bed.view("a").slow_decode == pytest.approx(usual)
    assert bed.flow("a", 5, 0.0)[-1] > 2 * usual
    bed.scheduler.observe(Restarted("a"), bed.now)
    assert bed.view("a").slow_decode == pytest.approx(usual)


def test_when_the_last_answer_has_gone_nothing_says_that_it_is_slow() -> None:
    bed = Bed("a").learn()
    streams = [bed.stream(), bed.stream()]
    bed.flow("a", 5, 0.0, streams=2)
    assert bed.view("a").slow_decode > 2.0
    for job_id, _ in streams:
        assert bed.view("a").slow_decode > 2.0
        bed.scheduler.cancel(job_id, bed.now)
    assert bed.view("a").slow_decode == 1.0


def test_requests_with_and_without_a_promise_go_to_whoever_flows() -> None:
    bed = Bed("a", "b").learn()
    _, slow = bed.stream()
    bed.flow(slow, 2, 1 / STEP_S)
    bed.flow(slow, 5, 0.1 / STEP_S)
    for promise in ({}, {"slo_tpot_s": 0.1}):
        for _ in range(2):
            job_id, backend = bed.begin(**promise)
            bed.first_token(job_id, backend)
            assert backend == ("b" if slow == "a" else "a")


# ---- streams that fell silent


def test_a_silent_stream_is_given_up_after_twenty_tokens_time_or_two_seconds() -> None:
    bed = Bed("a", "b").learn()
    job_id, _ = bed.stream()
    assert not bed.gives_up(job_id, 1.9, bed.now, anybody)
    assert bed.gives_up(job_id, 2.1, bed.now, anybody)


def test_the_limit_grows_with_what_is_usual() -> None:
    bed = Bed("a", "b", step_s=0.3).learn()
    job_id, _ = bed.stream()
    assert not bed.gives_up(job_id, 0.8 * 20 * 0.3, bed.now, anybody)
    assert bed.gives_up(job_id, 1.2 * 20 * 0.3, bed.now, anybody)


def test_a_prompt_that_is_computed_explains_silence() -> None:
    bed = Bed("a").learn()
    job_id, _ = bed.stream()
    bed.begin()
    assert not bed.gives_up(job_id, 2.1, bed.now, anybody)


def test_it_is_given_up_only_when_somebody_else_can_go_on() -> None:
    alone = Bed("a").learn()
    job_id, _ = alone.stream()
    assert not alone.gives_up(job_id, 50.0, alone.now, anybody)
    assert not alone.gives_up(job_id + 1, 50.0, alone.now, anybody)


def test_it_is_not_given_up_when_it_could_not_be_sent_again() -> None:
    bed = Bed("a", "b").learn()
    job_id, _ = bed.stream(deadline=bed.now + 10.0)
    assert not bed.gives_up(job_id, 3.0, bed.now, lambda _: False), "engines of other kinds"
    assert bed.gives_up(job_id, 3.0, bed.now, anybody)
    assert not bed.gives_up(job_id, 20.0, bed.now + 20.0, anybody), "its deadline has passed"
    for retries in (RetrySettings(attempts=1), RetrySettings(budget_ratio=0.0, budget_min_per_s=0)):
        bed = Bed("a", "b", retries=retries).learn()
        job_id, _ = bed.stream()
        assert not bed.gives_up(job_id, 3.0, bed.now, anybody), retries


def test_what_was_given_up_goes_on_elsewhere_and_accuses_nobody() -> None:
    bed = Bed("a", "b", admission={"mode": "enforce"}).learn()
    job_id, backend = bed.stream(slo_ttft_s=1.0, slo_tpot_s=0.1)
    bed.stream()  # the other one is not idle: it takes what breaks no limit, and the time to first token is long past
    bed.now += 30.0
    assert bed.gives_up(job_id, 3.0, bed.now, anybody)
    gone = upstream(Kind.STALLED, "silent")
    (command,) = bed.scheduler.observe(Failed(attempt_of(bed.scheduler, job_id), gone, repeatable=True), bed.now)
    assert isinstance(command, Dispatch)
    assert command.backend != backend
    assert bed.view(backend).state == "healthy"


BASE_S, EACH_S = 0.0106, 0.000419


def decoding(count: int, ledger: Ledger, model: CostModel, rate: DecodeRate, since: float, seconds: int = 10) -> float:
    """So many more streams, that flow for some seconds as an engine's do of which each one makes a step longer."""
    for number in range(count):
        entry = Entry(Job(number, "m", stream=True), since, since)
        entry.streams = True
        ledger.dispatch(entry, since)
        ledger.first_token(entry, since)
    for _ in range(seconds):
        since += 1.0
        streams = ledger.decoding
        rate.learn(ledger, model, float(streams), streams / (BASE_S + EACH_S * streams), since)
    return since


def test_long_answers_tell_how_fast_they_flow_before_any_of_them_has_ended() -> None:
    ledger, model, rate = Ledger(), CostModel(PoolModel()), DecodeRate()
    assert model.step_s(180.0, 0.0) > 1.2 * (BASE_S + 180 * EACH_S), "the guess is as good"
    now = 0.0
    for _ in range(4):
        now = decoding(20, ledger, model, rate, now)
    assert model.step_s(180.0, 0.0) == pytest.approx(BASE_S + 180 * EACH_S, rel=0.1)
    assert model.step_s(40.0, 0.0) == pytest.approx(BASE_S + 40 * EACH_S, rel=0.1)
    assert rate.slow == 1.0


@pytest.mark.parametrize("why", ["a prompt is computed", "others use the engine", "nothing comes"])
def test_seconds_that_tell_nothing_of_the_pace_teach_nothing(why: str) -> None:
    ledger, model, rate = Ledger(), CostModel(PoolModel()), DecodeRate()
    if why == "a prompt is computed":
        prompt = Entry(Job(99, "m", stream=True), 0.0, 0.0)
        prompt.streams, prompt.cost = True, 60.0
        ledger.dispatch(prompt, 0.0)
    elif why == "others use the engine":
        ledger.reconcile(50.0, 0.0, 0.0)
    before = model.decode_samples, list(model.decode)
    if why == "nothing comes":
        for second in range(10):
            rate.learn(ledger, model, 4.0, 2.0, float(second))
    else:
        decoding(20, ledger, model, rate, 0.0, seconds=8)
    assert (model.decode_samples, model.decode) == before


def test_an_engine_that_is_ill_does_not_teach_that_this_is_what_answers_cost() -> None:
    ledger, model, rate = Ledger(), CostModel(PoolModel()), DecodeRate()
    now = decoding(20, ledger, model, rate, 0.0, seconds=60)
    usual = model.step_s(20.0, 0.0)
    for second in range(1, 11):
        rate.learn(ledger, model, 20.0, 0.2 * 20 / usual, now + second)
    assert rate.slow > 3.0
    assert model.step_s(20.0, 0.0) == pytest.approx(usual, rel=0.02)


@pytest.mark.parametrize(("slower", "behind"), [(0.8, 1.0), (1.04, 1.0), (1.15, 1.15 / 1.05), (1.8, 1.25)])
def test_calm_seconds_that_stay_behind_count_beyond_the_margin(slower: float, behind: float) -> None:
    """What has taught enough learns slowly, and answers that outlast all others take memory that is in no books."""
    ledger, model, rate = Ledger(), CostModel(PoolModel()), DecodeRate()
    now = decoding(20, ledger, model, rate, 0.0, seconds=FULL_TRUST + 5)
    assert rate.behind == 1.0
    for second in range(20):
        at = now + second
        rate.learn(ledger, model, 20.0, 20.0 / (slower * model.step_s(20.0, 0.0)), at)
    assert rate.behind == pytest.approx(behind, abs=0.02)
    prompt = Entry(Job(99, "m", stream=True), 0.0, at)
    prompt.streams, prompt.cost = True, 60.0
    ledger.dispatch(prompt, at)
    for second in range(1, 61):
        rate.learn(ledger, model, 20.0, 20.0, at + second)
    assert rate.behind == 1.0, "what is there now says no more"
