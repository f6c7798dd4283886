"""The limit on address space: what is begun under it, a byte below and above, and what it costs without one."""

import threading

import pytest

from proxy.config.plain import read
from proxy.live.background import address_space
from proxy.live.background.address_space import LEAST_B, AddressSpace, be_frugal, used, why_not
from proxy.live.background.memory import MemoryGuard, available_b
from proxy.model.limits import MemoryLimits

MIB = 1 << 20


@pytest.mark.parametrize(("over", "fits"), [(-1, True), (0, True), (1, False)])
@pytest.mark.parametrize("body_b", [0, 1000, MIB])
def test_a_body_needs_many_times_its_size(over: int, body_b: int, fits: bool) -> None:
    limit_b = 500 * MIB
    space = AddressSpace(lambda: limit_b, lambda: limit_b - 64 * MIB - 32 * body_b + over)
    assert space.has_room(body_b) is fits


def test_without_a_limit_nothing_is_measured() -> None:
    def never() -> int:
        raise AssertionError("measured")

    assert AddressSpace(lambda: None, never).has_room(1 << 40)


def test_a_limit_that_comes_later_is_seen_at_the_next_look() -> None:
    limits: list[int | None] = [None, 100 * MIB]
    space = AddressSpace(lambda: limits.pop(0), lambda: 90 * MIB)
    assert space.has_room(0)
    space.look()
    assert not space.has_room(0)


@pytest.mark.parametrize("free_b", [64 * MIB - 1, 64 * MIB])
def test_the_guard_refuses_everything_near_it(free_b: int) -> None:
    space = AddressSpace(lambda: 300 * MIB, lambda: 300 * MIB - free_b)
    guard = MemoryGuard(read(MemoryLimits, {"limit": "1GiB"}), lambda: None, lambda: None, lambda: 1, space=space)
    guard.check()
    assert guard.is_full is guard.is_tight is (free_b < 64 * MIB)


@pytest.mark.parametrize(("limit_b", "starts"), [(None, True), (LEAST_B, True), (LEAST_B - 1, False)])
def test_the_least_to_start_with(limit_b: int | None, starts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_space, "limit", lambda: limit_b)
    assert (why_not() is None) is starts


def test_a_limit_is_a_limit_on_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_space, "limit", lambda: 77 * MIB)
    assert available_b() <= 77 * MIB


def test_threads_are_left_alone_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_space, "limit", lambda: None)
    before = threading.stack_size()
    be_frugal()
    assert threading.stack_size() == before


def test_what_is_used_is_measured() -> None:
    assert used() > 10 * MIB
