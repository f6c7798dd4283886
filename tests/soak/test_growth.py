"""The measure itself: what it calls growth, and what it does not."""

import pytest

from tests.soak.growth import Growth


def grown(*sizes: int, step: int = 1000) -> Growth:
    growth = Growth()
    for number, size in enumerate(sizes):
        growth.add(number * step, size)
    return growth


def test_a_steady_leak_is_seen_to_the_byte():
    growth = grown(*(50_000_000 + 3_000 * number for number in range(9)))
    assert (growth.slope, growth.floor) == (3.0, 0.0)
    with pytest.raises(AssertionError, match=r"\+3.000 each"):
        growth.assert_at_most(2.0)


def test_one_jump_is_no_growth():
    grown(*[50_000_000] * 5, *[51_000_000] * 2).assert_at_most(0.0)


def test_what_goes_up_and_down_is_noise():
    growth = grown(0, 8_192, 4_096, 8_192, 0, 12_288, 4_096, 8_192)
    growth.assert_at_most(0.0)
    assert growth.floor > growth.slope > 0


def test_a_leak_under_noise_is_seen():
    noise = [0, 4_096, -4_096, 4_096, 0, -4_096, 0, 4_096]
    growth = grown(*(2_000_000 * number + wave for number, wave in enumerate(noise)))
    with pytest.raises(AssertionError):
        growth.assert_at_most(2.0)
