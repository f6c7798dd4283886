"""Hard limits: who has which, of which requests, and how each ending of a job settles them."""

import random

import pytest

from proxy.config.plain import read
from proxy.core.scheduler import Scheduler
from proxy.core.tenancy.quotas import MAX_TENANTS, Quotas
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Dispatch, Failed, Finished, FirstToken, Reason, Refuse
from proxy.model.faults import Fault, Kind
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings
from proxy.model.tenants import Allowance, QuotaView, TenantSettings
from tests.support.attempts import attempt_of
from tests.unit.core.playing import fault

A, B = "aaaaaaaa", "bbbbbbbb"


def entry(tenant: str = A, **limits: object) -> TenantSettings:
    return read(TenantSettings, {"tenant": tenant, **limits})


def test_who_has_which_limits() -> None:
    quotas = Quotas([entry(A, requests_per_minute=5), entry(B, models=["m"]), entry("*", requests_per_minute=1)])
    first, other = quotas.account(A, 0.0), quotas.account("cccccccc", 0.0)
    assert first is not None
    assert first is quotas.account(A, 1.0)
    assert first.view(0.0).requests == Allowance(5, 5, 0.0)
    assert quotas.account(B, 0.0) is None, "its own entry stands instead of the one for the others"
    assert other is not None
    assert other is not quotas.account("", 0.0), "each by itself; those without a key are one"
    assert list(quotas.views(0.0)) == [A]
    assert Quotas([entry(A, max_concurrent=1)]).account(B, 0.0) is None


def test_strangers_are_bounded_and_named_ones_are_not_forgotten() -> None:
    quotas = Quotas([entry(A, requests_per_minute=1), entry("*", requests_per_minute=1)])
    named = quotas.account(A, 0.0)
    for number in range(MAX_TENANTS + 5):
        quotas.account(f"{number:08x}", 0.0)
    assert len(quotas._strangers) == MAX_TENANTS
    assert quotas.account(A, 0.0) is named


class Play:
    """A scheduler with quotas before one backend."""

    def __init__(self, permits: int | None = None, retries: int = 3, **limits: object) -> None:
        self.scheduler = Scheduler(
            [BackendSpec("a", models=frozenset({"m"}), max_concurrency=permits)],
            retries=RetrySettings(attempts=retries),
            hold=HoldSettings(),
            health=HealthSettings(),
            rng=random.Random(1),
            scheduling=SchedulingSettings(tenants=(entry(A, **limits),)),
        )
        self.now = 0.0
        self.count = 0

    def submit(self, tenant: str = A, model: str = "m") -> Command | None:
        self.count += 1
        job = Job(self.count, model, stream=True, tenant=tenant, prompt_tokens=100, max_tokens=100)
        return next(iter(self.scheduler.submit(job, self.now)), None)

    def refused(self, tenant: str = A) -> Fault:
        command = self.submit(tenant)
        assert isinstance(command, Refuse)
        assert command.reason is Reason.QUOTA
        return command.fault

    def quota(self) -> QuotaView:
        view = self.scheduler.quota(A, self.now)
        assert view is not None
        return view

    def left(self) -> tuple[int, int]:
        view = self.quota()
        assert view.requests is not None
        assert view.tokens is not None
        return view.requests.left, view.tokens.left


def test_what_is_refused_says_what_is_short_and_when_it_is_not() -> None:
    play = Play(requests_per_minute=2)
    assert isinstance(play.submit(), Dispatch)
    assert isinstance(play.submit(), Dispatch)
    found = play.refused()
    assert (found.kind, found.retry_after_s) == (Kind.QUOTA, 30.0)
    assert "on requests per minute: limit 2, used 2, requested 1. Please try again in 30 s" in found.message
    assert isinstance(play.submit(B), Dispatch), "it is nobody else's quota"
    play.now = 29.0
    assert play.refused().retry_after_s == 1.0
    play.now = 30.0
    assert isinstance(play.submit(), Dispatch)
    counts = play.scheduler.counts(play.now)
    assert counts.refusals == {Reason.QUOTA: 2}
    assert counts.refused == 2


def test_too_large_for_ever() -> None:
    found = Play(tokens_per_minute=99).refused()
    assert found.retry_after_s is None
    assert "too large" in found.message


LIMITS = {"requests_per_minute": 10, "tokens_per_minute": 1000, "max_concurrent": 3}


@pytest.mark.parametrize(
    ("how", "left"),
    [
        ("served", (9, 1000 - 130)),
        ("served, usage not told", (9, 1000 - 200)),
        ("answered with an error", (9, 1000)),
        ("failed before it began", (10, 1000)),
        ("failed after it began", (9, 1000 - 200)),
        ("left while an engine was at it", (9, 1000 - 200)),
        ("drained while held", (10, 1000)),
        ("left while held", (10, 1000)),
    ],
)
def test_every_ending_settles(how: str, left: tuple[int, int]) -> None:
    held = how.endswith("held")
    play = Play(permits=1, retries=1, **LIMITS)
    if held:
        play.submit(B)
    play.submit()
    job_id, core = play.count, play.scheduler
    assert play.left() == (9, 800)
    assert play.quota().concurrent == 1
    if how == "served":
        core.observe(Finished(attempt_of(core, job_id), 110, 0, 20), 0.0)
    elif how == "served, usage not told":
        core.observe(Finished(attempt_of(core, job_id)), 0.0)
    elif how == "answered with an error":
        core.observe(Finished(attempt_of(core, job_id), ok=False), 0.0)
    elif how == "failed before it began":
        core.observe(Failed(attempt_of(core, job_id), fault(), repeatable=True), 0.0)
    elif how == "failed after it began":
        core.observe(FirstToken(attempt_of(core, job_id)), 0.0)
        core.observe(Failed(attempt_of(core, job_id), fault(), repeatable=False), 0.0)
    elif how == "drained while held":
        core.refuse_new()
    else:
        core.cancel(job_id, 0.0)
    assert play.left() == left
    assert play.quota().concurrent == 0


def test_what_is_refused_for_anything_else_costs_nothing() -> None:
    play = Play(**LIMITS)
    assert isinstance(play.submit(model="gone"), Refuse)
    assert play.left() == (10, 1000)
    assert play.scheduler.explain(Job(99, "m", tenant=A, prompt_tokens=5000), 0.0).reason is Reason.QUOTA
    assert play.left() == (10, 1000), "and explaining neither"
    told = play.scheduler.explain(Job(99, "m", tenant=A), 0.0)
    assert (told.outcome, told.quota) == ("dispatch", play.quota())
    assert play.scheduler.explain(Job(99, "m", tenant=B), 0.0).quota is None


SCOPED = {
    "requests_per_minute": 100,
    "limits": [
        {"model": "large*", "requests_per_minute": 2},
        {"class": "bulk", "tokens_per_day": 500},
        {"model": "m", "class": "bulk", "max_streams": 1},
    ],
}


def job(model: str = "m", traffic_class: str = "interactive", stream: bool = True) -> Job:
    return Job(1, model, traffic_class=traffic_class, tenant=A, stream=stream)


def test_limits_of_single_models_and_classes() -> None:
    quotas = Quotas([entry(A, **SCOPED)])
    account = quotas.account(A, 0.0)
    assert account is not None
    for _ in range(2):
        assert account.shortage(job("large-1"), 10, 10, 0.0) is None
        account.reserve(job("large-1"), 10, 10, 0.0)
    found = account.shortage(job("large-2"), 10, 10, 0.0)
    assert found is not None
    assert (found.what, found.scope, found.wait_s) == ("requests", "model large*", 30.0)
    assert account.shortage(job("m"), 10, 10, 0.0) is None
    account.reserve(job("m", "bulk"), 10, 10, 0.0)
    found = account.shortage(job("m", "bulk"), 10, 10, 0.0)
    assert found is not None
    assert (found.what, found.scope) == ("concurrent streams", "model m, class bulk")
    assert account.shortage(job("m", "bulk", stream=False), 10, 10, 0.0) is None
    found = account.shortage(job("m", "bulk"), 10, 480, 0.0)
    assert found is not None
    assert (found.per, found.scope) == ("day", "class bulk"), "what lasts longer is said"


def test_the_least_of_what_is_left_is_shown() -> None:
    quotas = Quotas([entry(A, **SCOPED)])
    account = quotas.account(A, 0.0)
    assert account is not None
    account.reserve(job("large-1"), 10, 10, 0.0)
    shown = quotas.view(A, 0.0, job("large-1"))
    assert shown is not None
    assert shown.requests == Allowance(2, 1, 30.0)
    plain = quotas.view(A, 0.0, job("m"))
    assert plain is not None
    assert plain.requests is not None
    assert plain.requests.left == 99
    of_bulk = quotas.view(A, 0.0, job("m", "bulk"))
    assert of_bulk is not None
    assert (of_bulk.day_tokens, of_bulk.max_streams) == (Allowance(500, 500, 0.0), 1)


def test_another_configuration_forgets_nothing_that_stays() -> None:
    quotas = Quotas([entry(A, **SCOPED, tokens_per_day=1000), entry(B, requests_per_minute=1)])
    account = quotas.account(A, 0.0)
    assert account is not None
    held = account.reserve(job("m", "bulk"), 100, 100, 0.0)
    limits = [{"class": "bulk", "tokens_per_day": 600}, {"model": "other", "tokens_per_day": 5}]
    quotas.configure([entry("*", requests_per_minute=9), entry(A, limits=limits)], 0.0)
    assert quotas.account(A, 0.0) is account
    found = account.shortage(job("m", "bulk"), 401, 0, 0.0)
    assert found is not None
    assert (found.used, found.limit) == (200, 600)
    assert account.own.concurrent == 1
    held.used(50, 50, 0.0)
    assert account.shortage(job("m", "bulk"), 401, 0, 0.0) is None
    assert account.own.concurrent == 0


def test_days_outlive_a_restart() -> None:
    first, second = Quotas([entry(A, **SCOPED, tokens_per_day=1000)]), Quotas([entry(A, **SCOPED, tokens_per_day=1000)])
    for quotas in (first, second):
        quotas.days.tell(86_400.0 * 10, 0.0)
    account = first.account(A, 0.0)
    assert account is not None
    account.reserve(job("m", "bulk"), 100, 100, 0.0).used(100, 100, 0.0)
    rows = first.used_of_days()
    assert rows == [(A, "", 10, 200.0), (A, "class bulk", 10, 200.0)]
    second.recall([*rows, ("nobody", "", 10, 5.0), (A, "class gone", 10, 5.0)])
    view = second.view(A, 0.0, job("m", "bulk"))
    assert view is not None
    assert view.day_tokens is not None
    assert view.day_tokens.left == 300


@pytest.mark.parametrize(("metered", "left"), [(None, 800), (0, 900), (30, 870), (250, 650)])
def test_who_leaves_pays_for_what_had_come(metered: int | None, left: int) -> None:
    play = Play(**LIMITS)
    play.submit()
    play.scheduler._attempts.open[play.count].job.metered = metered
    play.scheduler.cancel(play.count, 0.0)
    assert play.left() == (9, left)


def test_a_day_that_is_used_up_says_so() -> None:
    play = Play(tokens_per_day=300)
    play.scheduler.tell_time(86_400.0 - 600.0, 0.0)
    assert isinstance(play.submit(), Dispatch)
    found = play.refused()
    assert (found.kind, found.code, found.retry_after_s) == (Kind.QUOTA, "insufficient_quota", 600.0)
    assert "used up its tokens per day: limit 300, used 200, requested 200" in found.message
    play.now = 600.0
    assert isinstance(play.submit(), Dispatch)
