"""Clocks: what was made elsewhere some time ago lives for the rest of its time only, whatever its clock says."""

import asyncio
import time

import pytest

from proxy.core.cache.versions import Versions
from proxy.live.cache.memory import Memory
from proxy.live.tokenizers import Tokenizers
from proxy.model.cache import CacheSettings
from proxy.wire.kept import Kept
from proxy.wire.usage import NO_USAGE

KEY = bytes(32)


def memory() -> Memory:
    settings = CacheSettings(size=1 << 20, ttl=100.0)
    return Memory(settings, Versions(), Tokenizers({}), 1 << 20, asyncio.get_running_loop(), time.monotonic, time.time)


def kept(age_s: float) -> Kept:
    return Kept(b"{}", False, False, time.time() - age_s, NO_USAGE, b"")


@pytest.mark.parametrize(("age_s", "told_s"), [(0, 0), (40, 40), (-1000, 0)])
async def test_age(age_s: float, told_s: float) -> None:
    one = memory()
    entry = one.put(b"s", KEY, kept(age_s))
    assert entry is not None
    assert one.age_s(entry) == pytest.approx(told_s, abs=2)
    assert one.get(b"s", KEY, None) is entry
    assert one.get(b"s", KEY, told_s + 5) is entry
    if told_s:
        assert one.get(b"s", KEY, told_s - 5) is None


@pytest.mark.parametrize("age_s", [100, 1e9])
async def test_what_is_too_old_is_not_there(age_s: float) -> None:
    one = memory()
    one.put(b"s", KEY, kept(age_s))
    assert one.get(b"s", KEY, None) is None


async def test_names_are_unique() -> None:
    one, other = memory(), memory()
    assert len({one.unique(), one.unique(), other.unique(), other.unique()}) == 4
