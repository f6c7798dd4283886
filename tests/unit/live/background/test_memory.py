"""The memory guard at its three shares, a byte below and above."""

import pytest

from proxy.config.plain import read
from proxy.live.background.memory import MemoryGuard
from proxy.model.limits import MemoryLimits


@pytest.mark.parametrize(
    ("rss_b", "closes", "tight", "full"),
    [
        (8500, False, False, False),
        (8501, True, False, False),
        (9200, True, False, False),
        (9201, True, True, False),
        (9600, True, True, False),
        (9601, True, True, True),
    ],
)
def test_what_happens_at_which_share(rss_b: int, closes: bool, tight: bool, full: bool) -> None:
    done: list[str] = []
    limits = read(MemoryLimits, {"limit": "10000B"})
    guard = MemoryGuard(limits, lambda: done.append("idle"), lambda: done.append("bulk"), lambda: rss_b)
    guard.check()
    assert (guard.is_tight, guard.is_full) == (tight, full)
    assert ("idle" in done, "bulk" in done) == (closes, tight)


def test_it_tells_what_it_measures_against() -> None:
    guard = MemoryGuard(read(MemoryLimits, {"limit": "10000B"}), lambda: None, lambda: None)
    assert guard.limit_b == 10000


def test_it_ends_when_memory_is_there_again() -> None:
    used = [9900, 5000]
    guard = MemoryGuard(read(MemoryLimits, {"limit": "10000B"}), lambda: None, lambda: None, lambda: used.pop(0))
    guard.check()
    assert guard.is_full
    guard.check()
    assert not guard.is_tight
    assert not guard.is_full


def test_bulk_goes_whatever_its_share_when_everything_does() -> None:
    limits = read(MemoryLimits, {"limit": "10000B", "shed": 0.5})
    guard = MemoryGuard(limits, lambda: None, lambda: None, lambda: 6000)
    guard.check()
    assert guard.is_tight
