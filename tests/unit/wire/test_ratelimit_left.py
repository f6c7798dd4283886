"""What a cloud says is left, as OpenAI and others write it."""

import pytest

from proxy.wire.ratelimit_left import Left, remaining, seconds


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"1s", 1.0),
        (b"60ms", 0.06),
        (b"6m0s", 360.0),
        (b"1h2m3.5s", 3723.5),
        (b"2d", 172_800.0),
        (b"7.66", 7.66),
        (b"0s", 0.0),
        ("250µs".encode(), 0.00025),
        (b"", None),
        (b"soon", None),
        (b"-1s", None),
        (b"1.2.3s", None),
        (b"2026-11-29T16:00:00Z", None),
        (b"9" * 400, None),
        (None, None),
    ],
)
def test_durations(text: bytes | None, told: float | None) -> None:
    assert seconds(text) == (None if told is None else pytest.approx(told))


def test_openais_headers() -> None:
    headers = [
        (b"Content-Type", b"application/json"),
        (b"x-ratelimit-limit-requests", b"60"),
        (b"X-RateLimit-Remaining-Requests", b"59"),
        (b"x-ratelimit-remaining-tokens", b"149984"),
        (b"x-ratelimit-reset-requests", b"1s"),
        (b"x-ratelimit-reset-tokens", b"6m0s"),
    ]
    assert remaining(headers) == Left(59.0, 1.0, 60.0, 149_984.0, 360.0, None)


def test_half_of_them_and_nonsense() -> None:
    assert remaining([(b"x-ratelimit-remaining-tokens", b" 0 ")]) == Left(None, None, None, 0.0, None, None)
    assert remaining([(b"x-ratelimit-remaining-requests", b"many"), (b"x-ratelimit-reset-requests", b"1s")]) is None
    assert remaining([(b"retry-after", b"1")]) is None
