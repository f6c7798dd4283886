"""Hard quotas: buckets, reservations, and how each ending of a job settles them."""

import random

import pytest

from proxy.config.plain import read
from proxy.core.scheduler import Scheduler
from proxy.core.tenancy.quotas import MAX_TENANTS, Account, Bucket, Quotas, Reservation
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


def test_a_bucket_fills_evenly_and_no_further() -> None:
    bucket = Bucket(60, 0.0)
    bucket.take(60, 0.0)
    assert bucket.left(0.0) == 0
    assert bucket.wait_s(1, 0.0) == 1.0
    assert bucket.left(2.5) == 2.5
    assert bucket.left(1000.0) == 60
    assert bucket.left(2.5) == 2.5, "looking changes nothing"
    bucket.take(1, 1000.0)
    assert bucket.left(999.0) == 59, "time does not go back"


def test_a_debt_is_paid_off_first() -> None:
    bucket = Bucket(60, 0.0)
    bucket.take(90, 0.0)
    assert bucket.view(0.0) == Allowance(60, 0, 90.0)
    assert bucket.wait_s(1, 0.0) == 31.0
    bucket.give(20)
    assert bucket.left(0.0) == -10
    bucket.give(1000)
    assert bucket.left(0.0) == 60, "no more comes back than fits"


def test_what_is_used_above_what_was_expected_is_used_when_it_is_known() -> None:
    account = Account(entry(tokens_per_minute=60), 0.0)
    reserved = Reservation(account, 5, 5, 0.0)
    reserved.used(30, 60.0)
    assert account.tokens is not None
    assert account.tokens.left(60.0) == 40, "the minute between filled it up first"


@pytest.mark.parametrize(("left", "short"), [(1, False), (0, True)])
def test_requests_at_the_limit(left: int, short: bool) -> None:
    account = Account(entry(requests_per_minute=3), 0.0)
    for _ in range(3 - left):
        Reservation(account, 1, 1, 0.0)
    found = account.shortage(1, 1, 0.0)
    assert (found is not None) is short
    if found is not None:
        assert found == ("requests", 3, 3, 1, 20.0)


@pytest.mark.parametrize(("prompt", "answer", "short"), [(899, 100, False), (900, 100, False), (900, 101, True)])
def test_tokens_at_the_limit(prompt: int, answer: int, short: bool) -> None:
    account = Account(entry(tokens_per_minute=2000), 0.0)
    Reservation(account, 900, 100, 0.0)
    found = account.shortage(prompt, answer, 0.0)
    assert (found is not None) is short
    if found is not None:
        assert (found.what, found.limit, found.used, found.wanted) == ("tokens", 2000, 1000, 1001)
        assert found.wait_s == pytest.approx(1 * 60 / 2000)


def test_a_prompt_above_the_limit_never_fits_a_long_answer_does_when_all_is_there() -> None:
    account = Account(entry(tokens_per_minute=1000), 0.0)
    found = account.shortage(1001, 1, 0.0)
    assert found is not None
    assert found.wait_s is None
    assert account.shortage(1000, 5000, 0.0) is None
    Reservation(account, 1000, 5000, 0.0).used(1500, 0.0)
    assert account.tokens is not None
    assert account.tokens.left(0.0) == -500


def test_at_once() -> None:
    account = Account(entry(max_concurrent=2), 0.0)
    one, _ = Reservation(account, 1, 1, 0.0), Reservation(account, 1, 1, 0.0)
    found = account.shortage(1, 1, 0.0)
    assert found == ("concurrent requests", 2, 2, 1, 1.0)
    one.used(5, 0.0)
    assert account.shortage(1, 1, 0.0) is None


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
