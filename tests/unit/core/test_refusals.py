"""What is said when the core itself refuses."""

import pytest

from proxy.core import refusals
from proxy.core.tenancy.accounts import Shortage
from proxy.model.commands import Reason
from proxy.model.faults import OUT_OF_CREDIT, Fault, Kind, Source

ALL = [
    (refusals.draining(), Kind.DRAINING),
    (refusals.short_of_memory(), Kind.MEMORY),
    (refusals.hold_timeout(3.0), Kind.HOLD_TIMEOUT),
    (refusals.unreachable(), Kind.NO_BACKEND),
    (refusals.asked_to_wait(40.0), Kind.QUEUE_FULL),
    (refusals.queue_full(7, 3.0), Kind.QUEUE_FULL),
    (refusals.overloaded(Reason.TTFT, 3.0), Kind.QUEUE_FULL),
    (refusals.unlabelled("m"), Kind.NO_BACKEND),
]


@pytest.mark.parametrize(("fault", "kind"), ALL, ids=lambda value: value.kind if isinstance(value, Fault) else "")
def test_each_is_ours_and_says_when_to_come_back(fault: Fault, kind: Kind) -> None:
    assert (fault.source, fault.kind) == (Source.INTERNAL, kind)
    assert fault.retry_after_s is not None
    assert 1.0 <= fault.retry_after_s <= 60.0


@pytest.mark.parametrize(("wait_s", "advice_s"), [(0.0, 1.0), (17.0, 17.0), (1e9, 60.0)])
def test_advice_is_bounded(wait_s: float, advice_s: float) -> None:
    for fault in (refusals.overloaded(Reason.KV, wait_s), refusals.asked_to_wait(wait_s)):
        assert fault.retry_after_s == advice_s
        assert f"{advice_s:.0f} s" in fault.message


def test_where_only_another_model_goes_on_the_client_is_told_and_does_not_repeat_it() -> None:
    fault = refusals.only_elsewhere("small", "a")
    assert (fault.source, fault.kind, fault.param, fault.retry_after_s) == (
        Source.DOWNSTREAM,
        Kind.INVALID,
        "model",
        None,
    )


def test_who_was_not_reached_says_what_was_seen() -> None:
    assert refusals.unreachable("a: refused").message.endswith("again later. a: refused")
    assert refusals.unreachable().message.endswith("again later.")


def test_a_reason_that_is_no_limit_has_words_too() -> None:
    assert refusals.overloaded(Reason.QUEUE, 2.0).message == "Refused, since all backends are busy; try again in 2 s."


@pytest.mark.parametrize(
    ("shortage", "text", "retry_after_s"),
    [
        (Shortage("requests", 10, 10, 1, 5.2), "on requests per minute: limit 10, used 10, requested 1. Please", 6.0),
        (
            Shortage("input tokens", 10, 9, 2, 5.2, scope="model q*, class bulk"),
            "on input tokens per minute for model q*, class bulk: limit 10, used 9, requested 2.",
            6.0,
        ),
        (
            Shortage("tokens", 10, 9, 2, 4000.2, "day"),
            "used up its tokens per day: limit 10, used 9, requested 2. The next day begins in 4001 s",
            4001.0,
        ),
        (
            Shortage("concurrent requests", 2, 2, 1, 1.0, ""),
            "on concurrent requests: limit 2, used 2, requested 1.",
            1.0,
        ),
        (
            Shortage("tokens", 10, 0, 99, None),
            "about 99 tokens, while the limit is 10 per minute; make it shorter",
            None,
        ),
    ],
)
def test_a_quota_says_what_is_short(shortage: Shortage, text: str, retry_after_s: float | None) -> None:
    fault = refusals.quota(shortage)
    assert fault.kind is Kind.QUOTA
    assert text in fault.message
    assert fault.retry_after_s == retry_after_s
    assert (fault.code == OUT_OF_CREDIT) is (shortage.per == "day")


def test_a_route_that_no_engine_of_a_model_has_is_no_matter_of_waiting() -> None:
    fault = refusals.unlabelled("m", {"x", "route=/infill"})
    assert (fault.source, fault.kind, fault.retry_after_s) == (Source.DOWNSTREAM, Kind.MODEL_NOT_FOUND, None)
    assert "/infill" in fault.message
