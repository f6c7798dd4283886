"""`x-ratelimit-*` headers."""

import pytest

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


def test_ours_stand_instead_of_the_engines() -> None:
    quota = QuotaView(Allowance(60, 59, 1.0), Allowance(1000, 0, 60.0), 1, None)
    headers = [(b"content-type", b"x"), (b"x-ratelimit-limit-requests", b"9"), (b"x-ratelimit-other", b"9")]
    assert replaced(headers, quota) == [
        (b"content-type", b"x"),
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"59"),
        (b"x-ratelimit-reset-requests", b"1s"),
        (b"x-ratelimit-limit-tokens", b"1000"),
        (b"x-ratelimit-remaining-tokens", b"0"),
        (b"x-ratelimit-reset-tokens", b"1m0s"),
    ]
    assert replaced([], QuotaView(None, None, 1, 4)) == []
