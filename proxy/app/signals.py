"""What signals ask of a running proxy.

The first SIGTERM or SIGINT asks for a drain, a second one for the end at once. SIGHUP asks for the configuration to be
read anew. SIGUSR1 has log files opened anew, after logrotate has moved them away. SIGUSR2, whose default is death,
changes nothing and is answered in the log. SIGPIPE is ignored, as Python does: a reader that left is an error where it
is written to.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import Final

KILLED: Final = 128
"""Exit code of a process that a signal ended, less the signal's number, as shells count it: 130 for SIGINT, 143 for
SIGTERM."""
AT_ONCE_S: Final = 1.0
"""After the second signal: for the last events of streams and the last log lines. Then the process is gone, whatever
still runs."""
_STOP: Final = (signal.SIGTERM, signal.SIGINT)
_HARMLESS: Final = {
    signal.SIGUSR2: "SIGUSR2 has no meaning here; nothing was changed",
}
_log = logging.getLogger("tidegate")


class Signals:
    """Handlers of one loop, from now on."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        hurry: Callable[[], None],
        reload: Callable[[], None],
        reopen: Callable[[], int],
    ) -> None:
        """`hurry`: end at once; `reload`: read the configuration anew; `reopen`: the log files, of which it says how
        many there are."""
        self._loop = loop
        self._hurry = hurry
        self._reopen = reopen
        self.stopping = asyncio.Event()
        """The end was asked for."""
        self.exit_code = 0
        for number in _STOP:
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, reload)
        loop.add_signal_handler(signal.SIGUSR1, self._reopen_logs)
        for number, text in _HARMLESS.items():
            loop.add_signal_handler(number, _log.warning, text)

    def _stop(self, number: signal.Signals) -> None:
        if not self.stopping.is_set():
            self.stopping.set()
        elif not self.exit_code:
            self.exit_code = KILLED + number
            _log.warning("a second signal, %s: ending at once", number.name)
            self._hurry()
            self._loop.call_later(AT_ONCE_S, os._exit, self.exit_code)

    def _reopen_logs(self) -> None:
        files = self._reopen()
        _log.info("SIGUSR1: %s", f"log files opened anew: {files}" if files else "there are no log files")


def survive() -> None:
    """Until a loop handles them, the signals that do not mean the end do not kill either."""
    for number in (signal.SIGHUP, signal.SIGUSR1, *_HARMLESS):
        signal.signal(number, signal.SIG_IGN)
