"""What a backend may be sent in a minute: no more in any, whatever is settled late, and what clouds say of it."""

import random
from math import inf

import pytest

from proxy.core.fleet.quota import Quota
from proxy.model.commands import Remaining


def sent_in_an_hour(quota: Quota, rng: random.Random) -> list[tuple[float, float]]:
    """When what was sent, by somebody who always has more."""
    now, sent = 1000.0, []
    while now < 1000.0 + 3600.0:
        quota.advance(now)
        tokens = rng.uniform(1.0, 400.0)
        if quota.fits(tokens):
            quota.spend(tokens, 0.0, now)
            sent.append((now, tokens))
        else:
            now += rng.uniform(0.0, 0.7)
    return sent


@pytest.mark.parametrize(("requests", "tokens"), [(30, None), (None, 5000), (60, 5000)])
def test_never_more_than_the_limit_in_any_minute_and_nearly_that(requests: int | None, tokens: int | None) -> None:
    sent = sent_in_an_hour(Quota(requests, tokens, 0.0), random.Random(7))
    for start, _ in sent:
        within = [amount for at, amount in sent if start <= at < start + 60.0]
        assert requests is None or len(within) <= requests
        assert tokens is None or sum(within) <= tokens + 1e-6
    minutes = 3600.0 / 62.0
    used = [len(sent) / requests if requests else 0.0, sum(t for _, t in sent) / tokens if tokens else 0.0]
    assert max(used) > 0.9 * minutes, "and it is used up"


def test_what_was_not_received_is_there_again_at_once() -> None:
    quota = Quota(1, 100, 5.0)
    spending = quota.spend(30.0, 70.0, 5.0)
    assert (quota.is_full, quota.full_until, quota.requests_left, quota.tokens_left) == (True, 67.0, 0.0, 0.0)
    quota.unused(spending, 9.0)
    assert (quota.is_full, quota.requests_left, quota.tokens_left) == (False, 1.0, 100.0)


def test_the_true_tokens_count_from_when_they_were_sent() -> None:
    quota = Quota(None, 1000, 0.0)
    spending = quota.spend(100.0, 400.0, 0.0)
    quota.used(spending, 120.0, 20.0)
    assert quota.tokens_left == 880.0
    quota.used(spending, 1200.0, 21.0)
    assert quota.tokens_left == -200.0, "more than was expected is a debt…"
    assert not quota.fits(1.0)
    quota.advance(62.0)
    assert quota.tokens_left == 1000.0, "…of that minute"


def test_what_ends_after_its_minute_changes_nothing_of_this_one() -> None:
    quota = Quota(10, 1000, 0.0)
    spending = quota.spend(500.0, 0.0, 0.0)
    quota.advance(100.0)
    quota.unused(spending, 100.0)
    assert (quota.requests_left, quota.tokens_left) == (10.0, 1000.0)


def test_a_request_larger_than_a_minute_goes_alone() -> None:
    quota = Quota(None, 100, 0.0)
    assert quota.fits(5000.0)
    quota.spend(1.0, 0.0, 0.0)
    assert not quota.fits(5000.0)
    assert quota.fits(99.0)


def test_it_is_full_for_what_is_usual_and_says_until_when() -> None:
    quota = Quota(None, 1000, 0.0)
    quota.spend(600.0, 0.0, 0.5)
    assert (quota.is_full, quota.full_until, quota.changes_at()) == (True, 62.0, 62.0)
    quota.advance(62.0)
    assert (quota.is_full, quota.changes_at()) == (False, inf)


def test_other_limits_count_what_was_used() -> None:
    quota = Quota(10, None, 0.0)
    for _ in range(4):
        quota.spend(1.0, 0.0, 1.0)
    quota.configure(4, None)
    assert quota.is_full
    quota.configure(None, None)
    assert not quota.is_full


def test_what_a_cloud_says_counts_until_it_says() -> None:
    quota = Quota(None, None, 0.0)
    spending = quota.spend(10.0, 10.0, 0.0)
    quota.hear(Remaining(1, 0.0, 6.0), spending, 0, 1.0)
    assert (quota.is_full, quota.full_until, quota.changes_at()) == (True, 7.0, 7.0)
    quota.advance(7.0)
    assert not quota.is_full
    assert quota.requests_left == inf


def test_what_was_sent_since_is_taken_off() -> None:
    quota = Quota(None, None, 0.0)
    first = quota.spend(10.0, 10.0, 0.0)
    second = quota.spend(10.0, 10.0, 0.0)
    quota.spend(10.0, 20.0, 0.0)
    quota.hear(Remaining(1, 3.0, 60.0, None, 100.0, 60.0), first, 2, 1.0)
    assert (quota.requests_left, quota.tokens_left) == (1.0, 50.0)
    quota.hear(Remaining(2, 2.0, 60.0, None, 90.0, 60.0), second, 2, 1.0)
    assert (quota.requests_left, quota.tokens_left) == (1.0, 60.0)
    quota.hear(Remaining(1, 9.0, 60.0), first, 2, 1.0)
    assert quota.requests_left == 1.0, "an older one tells less"


def test_of_a_request_that_was_not_counted_all_others_may_be_later() -> None:
    quota = Quota(None, None, 0.0)
    quota.hear(Remaining(1, 3.0, 60.0), None, 3, 0.0)
    assert quota.is_full


def test_without_a_time_it_counts_for_a_second_and_never_longer_than_a_minute() -> None:
    quota = Quota(None, None, 0.0)
    quota.hear(Remaining(1, 0.0), None, 0, 0.0)
    assert quota.changes_at() == 1.0
    quota.hear(Remaining(1, 0.0, 86_400.0), None, 0, 0.0)
    assert quota.changes_at() == 60.0


def test_when_its_time_is_over_it_is_whole_but_for_what_was_sent_since() -> None:
    quota = Quota(None, None, 0.0)
    first = quota.spend(10.0, 10.0, 0.0)
    quota.spend(10.0, 10.0, 0.5)
    quota.hear(Remaining(1, 1.0, 6.0, 5.0), first, 1, 1.0)
    assert quota.is_full
    quota.advance(7.0)
    assert quota.requests_left == 4.0
    for _ in range(4):
        quota.spend(10.0, 10.0, 7.0)
    assert (quota.is_full, quota.full_until) == (True, 67.0)
    quota.advance(67.0)
    assert quota.requests_left == inf, "nobody has said anything for a minute"
