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


NOW = (b"date", b"Sun, 29 Nov 2026 16:00:00 GMT")


def test_anthropics_headers() -> None:
    headers = [
        NOW,
        (b"anthropic-ratelimit-requests-limit", b"50"),
        (b"anthropic-ratelimit-requests-remaining", b"49"),
        (b"anthropic-ratelimit-requests-reset", b"2026-11-29T16:00:01Z"),
        (b"anthropic-ratelimit-tokens-limit", b"40000"),
        (b"anthropic-ratelimit-tokens-remaining", b"12000"),
        (b"anthropic-ratelimit-tokens-reset", b"2026-11-29T16:00:42Z"),
        (b"anthropic-ratelimit-input-tokens-remaining", b"30000"),
        (b"anthropic-ratelimit-output-tokens-remaining", b"8000"),
    ]
    assert remaining(headers) == Left(49.0, 1.0, 50.0, 12_000.0, 42.0, 40_000.0)
    assert remaining(headers[:4]) == Left(49.0, 1.0, 50.0, None, None, None)
    assert remaining([(b"anthropic-ratelimit-input-tokens-remaining", b"7")]) == Left(*[None] * 3, 7.0, None, None)


@pytest.mark.parametrize(
    ("requests", "tokens"),
    [
        ("requests-minute", "tokens-minute"),  # Cerebras
        ("req-minute", "tokens-minute"),  # Mistral
        ("requests", "tokens-per-minute"),  # DigitalOcean
        ("requests", "tokens-prompt"),  # Fireworks
        ("requests", "tokens"),  # Azure: without a reset
    ],
)
def test_spellings_of_other_clouds(requests: str, tokens: str) -> None:
    headers = [(f"x-ratelimit-remaining-{requests}".encode(), b"3"), (f"X-Ratelimit-Remaining-{tokens}".encode(), b"4")]
    assert remaining(headers) == Left(3.0, None, None, 4.0, None, None)
    resets = [(f"x-ratelimit-reset-{tokens}".encode(), b"30s"), (f"x-ratelimit-limit-{tokens}".encode(), b"9")]
    assert remaining([*headers, *resets]) == Left(3.0, None, None, 4.0, 30.0, 9.0)


@pytest.mark.parametrize(
    ("reset", "told"),
    [
        (b"1795968030", 30.0),
        (b"1795968030000", 30.0),
        (b"1795968030.5", 30.5),
        (b"2026-11-29T16:00:30+00:00", 30.0),
        (b"2026-11-29T18:00:30+02:00", 30.0),
        (b"2026-11-29T15:00:00Z", 0.0),
        (b"30", 30.0),
        (b"tomorrow", None),
    ],
)
def test_a_reset_may_be_a_moment_by_the_clouds_own_clock(reset: bytes, told: float | None) -> None:
    headers = [(b"x-ratelimit-remaining-tokens", b"1"), (b"x-ratelimit-reset-tokens", reset)]
    left = remaining([*headers, NOW])
    assert left is not None
    assert left.tokens_reset_s == told
    left = remaining(headers)
    assert left is not None
    assert left.tokens_reset_s == (30.0 if reset == b"30" else None), "whose clock it is is not known"


def test_a_quota_of_a_day_is_not_one_of_a_minute() -> None:
    assert remaining([NOW, (b"x-ratelimit-remaining-requests-day", b"0")]) is None
    assert remaining([NOW, (b"x-ratelimit-remaining-requests-1h", b"0")]) is None
    assert remaining([NOW]) is None
