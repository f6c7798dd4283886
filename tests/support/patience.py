"""Waiting for something that happens elsewhere, with a deadline. The only place of the test bed that polls."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.01


def eventually(condition: Callable[[], T], what: str, within_s: float = 3.0) -> T:
    """The first truthy value of `condition`; AssertionError naming `what` when `within_s` pass without one."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what} (last: {value!r})")
        time.sleep(POLL_S)


def never(condition: Callable[[], object], what: str, for_s: float = 0.3) -> None:
    """AssertionError when `condition` becomes true within `for_s`."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        value = condition()
        assert not value, f"{what}: {value!r}"
        time.sleep(POLL_S)
