"""`x-ratelimit-*` headers."""

import pytest

from proxy.model.endpoint import Api
from proxy.model.tenants import Allowance, QuotaView
from proxy.wire.ratelimit import duration, replaced


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0ms"),
        (0.06, "60ms"),
        (0.0601, "61ms"),
        (0.9999, "1s"),
        (1.5, "1.5s"),
        (59.9991, "1m0s"),
        (360.0, "6m0s"),
        (61.25, "1m1.25s"),
    ],
)
def test_durations_are_never_shorter_than_they_are(seconds: float, text: str) -> None:
    assert duration(seconds) == text


FULL = QuotaView(
    Allowance(60, 59, 1.0),
    Allowance(1000, 0, 60.0),
    1,
    None,
    Allowance(10, 9, 0.5),
    Allowance(20, 19, 0.0),
    Allowance(30, 2, 3600.0),
)
ENGINES = [(b"content-type", b"x"), (b"x-ratelimit-limit-requests", b"9"), (b"anthropic-ratelimit-tokens-limit", b"9")]


def test_ours_stand_instead_of_the_engines() -> None:
    assert replaced(ENGINES, FULL, Api.OPENAI, 0.0) == [
        (b"content-type", b"x"),
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"59"),
        (b"x-ratelimit-reset-requests", b"1s"),
        (b"x-ratelimit-limit-tokens", b"1000"),
        (b"x-ratelimit-remaining-tokens", b"0"),
        (b"x-ratelimit-reset-tokens", b"1m0s"),
        (b"x-ratelimit-limit-input-tokens", b"10"),
        (b"x-ratelimit-remaining-input-tokens", b"9"),
        (b"x-ratelimit-reset-input-tokens", b"500ms"),
        (b"x-ratelimit-limit-output-tokens", b"20"),
        (b"x-ratelimit-remaining-output-tokens", b"19"),
        (b"x-ratelimit-reset-output-tokens", b"0ms"),
        (b"x-ratelimit-limit-day-tokens", b"30"),
        (b"x-ratelimit-remaining-day-tokens", b"2"),
        (b"x-ratelimit-reset-day-tokens", b"60m0s"),
    ]
    assert replaced([], QuotaView(None, None, 1, 4), Api.OPENAI, 0.0) == []


def test_anthropic_has_names_and_times_of_its_own() -> None:
    told = dict(replaced(ENGINES, FULL, Api.MESSAGES, 1798761600.25))
    assert b"x-ratelimit-limit-requests" not in told
    assert told[b"anthropic-ratelimit-requests-limit"] == b"60"
    assert told[b"anthropic-ratelimit-requests-remaining"] == b"59"
    assert told[b"anthropic-ratelimit-requests-reset"] == b"2027-01-01T00:00:02Z", "never too early"
    assert told[b"anthropic-ratelimit-tokens-limit"] == b"1000"
    assert told[b"anthropic-ratelimit-input-tokens-reset"] == b"2027-01-01T00:00:01Z"
    assert told[b"anthropic-ratelimit-output-tokens-remaining"] == b"19"
    assert told[b"anthropic-ratelimit-day-tokens-reset"] == b"2027-01-01T01:00:01Z"
