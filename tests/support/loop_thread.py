"""One event loop in a thread of its own, on which every fake engine of a test session runs.

Tests stay plain blocking code, so that a blocking client (the official one, curl) and an engine can talk.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CALL_DEADLINE_S = 10.0


class LoopThread:
    """Started by construction, ended by `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-engines", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine run on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_DEADLINE_S)

    def call(self, function: Callable[[], T]) -> T:
        """The result of a function called on the loop."""

        async def on_loop() -> T:
            return function()

        return self.run(on_loop())

    def stop(self) -> None:
        """Ends the loop; nothing may be running on it any more."""
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_DEADLINE_S)
        self._loop.close()
