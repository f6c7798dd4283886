"""The cap of an engine is found, kept, and found again when it changes."""

import pytest

from proxy.core.learn.batch_caps import UNLIMITED, BatchCaps


def tried(caps: BatchCaps, real: int, wanted: int) -> int:
    """How many of `wanted` go, to an engine that takes `real`; it is told."""
    sent = min(wanted, caps.of("k"))
    if sent > real:
        caps.refused("k", sent)
    else:
        caps.took("k", sent)
    return sent


@pytest.mark.parametrize("real", [1, 2, 7, 31, 32, 33, 499])
def test_a_cap_that_is_not_told_is_found(real: int) -> None:
    caps = BatchCaps()
    sent = [tried(caps, real, 500) for _ in range(14)]
    assert set(sent[11:]) == {real}


def test_a_cap_that_is_told_is_believed_at_once() -> None:
    caps = BatchCaps()
    caps.refused("k", 40, 32)
    assert caps.of("k") == 32
    assert caps.of("another") == UNLIMITED


def test_a_cap_that_shrinks_is_found_again() -> None:
    caps = BatchCaps()
    caps.refused("k", 40, 32)
    caps.refused("k", 32)
    assert caps.of("k") < 32
    for _ in range(8):
        tried(caps, 8, 32)
    assert caps.of("k") == 8


def test_a_client_that_sends_more_itself_shows_that_the_cap_grew() -> None:
    caps = BatchCaps()
    caps.refused("k", 40, 32)
    caps.took("k", 64)
    assert caps.of("k") == UNLIMITED


def test_a_cap_that_nobody_told_is_doubted_now_and_then() -> None:
    caps = BatchCaps()
    caps.refused("k", 2)
    assert caps.of("k") == 1
    for _ in range(300):
        caps.took("k", 1)
    assert caps.of("k") > 1


def test_another_engine_begins_anew() -> None:
    caps = BatchCaps()
    caps.refused("k", 40, 32)
    caps.forget()
    assert caps.of("k") == UNLIMITED


def test_what_is_remembered_is_bounded() -> None:
    caps = BatchCaps()
    for i in range(3000):
        caps.refused(str(i), 4)
    assert caps.of("0") == UNLIMITED
    assert caps.of("2999") < 4
