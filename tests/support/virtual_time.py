"""Time that passes only when nothing else is left to do: a loop that jumps to its next timer, and a clock to advance.

For what has no sockets and no threads: a test of an hour takes as long as what happens in it.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

_P = ParamSpec("_P")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time` is the clock of all that runs on it."""

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._now

    def jump(self, by_s: float) -> None:
        """Nothing is to be done for so long."""
        self._now += by_s


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("nothing will ever happen: the test waits for what no timer brings")
            self._loop.jump(timeout)
        return ready


def in_virtual_time(test: Callable[_P, Coroutine[Any, Any, None]]) -> Callable[_P, None]:
    """A test whose loop is a `VirtualLoop`."""

    @functools.wraps(test)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
