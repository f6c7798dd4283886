"""The parent of several workers: it holds the listening sockets, starts the workers, and another for each that dies. It
serves nobody and reads no configuration.

    bound ─▶ worker 1 (decides) … worker N ─▶ all ready ─▶ SIGTERM ─▶ all drain ─▶ the end
                └─ one ends ─▶ started again, later and later while that goes on failing

Owns processes, and who is linked with whom: a link is made anew for each two processes. What waits in the kernel to be
accepted waits in sockets that stay open here, so that no worker's death takes it along.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, Final

from proxy.app import signals
from proxy.app.listeners import StartError, bound
from proxy.app.notify import Notifier
from proxy.app.tasks import watched
from proxy.app.workers import start as words
from proxy.app.workers.control import Control, Said
from proxy.app.workers.count import cores
from proxy.app.workers.share import share
from proxy.app.workers.start import Start
from proxy.config.loader import Loaded
from proxy.obs.logs import Logs

_log = logging.getLogger("tidegate.workers")
_COMMAND: Final = (sys.executable, "-P", "-m", "proxy.app.workers.child")
FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 10.0
"""Before one that died is started again; twice as long each time."""
RELINK_S: Final = 0.5
"""Before two that have lost each other are linked again."""
_LIVED_S: Final = 30.0
"""Who lived so long had started well."""


class _Worker:
    """One place among the workers, whoever has it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: asyncio.subprocess.Process | None = None
        self.control: Control | None = None
        self.is_ready = False
        self.began = 0.0
        self.wait_s = FIRST_WAIT_S


class Parent:
    """One per process. `start`: as for all workers."""

    def __init__(self, start: Start, notifier: Notifier) -> None:
        """Binds. StartError where an address is taken."""
        config = start.loaded.config
        assert config is not None
        self._loop = asyncio.get_running_loop()
        self._told = start._replace(loaded=replace(start.loaded, config=share(config, start.workers)))
        self._admin = bound(config.admin, "admin")
        self._listen = bound(config.listen, "listen")
        self._workers = [_Worker(number) for number in range(1, start.workers + 1)]
        self._serials = 0
        self._notifier = notifier
        self._where = ""
        """It listens."""
        self._is_ending = False
        self._was_ready = False
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._asked: signals.Signals | None = None

    async def run(self) -> int:
        """Until all workers have ended; the exit code."""
        asked = self._asked = signals.Signals(
            self._loop, self._hurry, lambda: self._tell(words.RELOAD, only=1), self._reopen
        )
        stopping = watched(self._stop_when(asked.stopping))
        for worker in self._workers:
            self._start(worker)
        code = await self._ended
        stopping.cancel()
        self._admin.close()
        self._listen.close()
        return code or asked.exit_code

    # --- one worker

    def _start(self, worker: _Worker) -> None:
        watched(self._life(worker))

    async def _life(self, worker: _Worker) -> None:
        """From its start to its end, and what follows."""
        ours, theirs = socket.socketpair()
        self._serials += 1
        start = self._told._replace(number=worker.number, serial=self._serials)
        worker.is_ready, worker.began = False, monotonic()
        process = worker.process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            str(theirs.fileno()),
            f"worker-{worker.number}",
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C in a terminal is for the parent alone
            stdin=asyncio.subprocess.DEVNULL,
        )
        theirs.close()
        control = worker.control = Control(self._loop, ours, lambda said, _: self._heard(worker, said), lambda: None)
        control.send(words.START, start, sockets=[self._listen.dup(), self._admin.dup()])
        if self._is_ending:
            control.send(words.STOP)
        self._link(worker)
        code = await process.wait()
        control.close()
        worker.process = worker.control = None
        self._died(worker, code)

    def _link(self, worker: _Worker) -> None:
        """With the decider, or the decider with all."""
        decider = self._workers[0]
        others = self._workers[1:] if worker is decider else [worker]
        for other in others:
            if other.control is not None and decider.control is not None:
                one, another = socket.socketpair()
                decider.control.send(words.LINK, sockets=[one])
                other.control.send(words.LINK, sockets=[another])

    def _link_again(self, worker: _Worker) -> None:
        if not self._is_ending:
            self._link(worker)

    def _died(self, worker: _Worker, code: int) -> None:
        if self._is_ending:
            if all(other.process is None for other in self._workers):
                self._end(0)
            return
        how = f"by signal {-code}" if code < 0 else f"with {code}"
        if not self._was_ready and not worker.is_ready and code > 0:
            _log.error("worker %d ended %s before it served: nothing is started", worker.number, how)
            self._end_all(1)
            return
        if monotonic() - worker.began > _LIVED_S or code == 0:
            worker.wait_s = FIRST_WAIT_S
        _log.warning("worker %d ended %s: another one takes its place in %g s", worker.number, how, worker.wait_s)
        self._loop.call_later(worker.wait_s, self._again, worker)
        worker.wait_s = min(LONGEST_WAIT_S, 2 * worker.wait_s)

    def _again(self, worker: _Worker) -> None:
        if not self._is_ending:
            self._start(worker)

    def _heard(self, worker: _Worker, said: Said) -> None:
        word = said[0]
        if word == words.READY:
            worker.is_ready = True
            self._where = said[1] or self._where
            if all(other.is_ready for other in self._workers) and not self._was_ready:
                self._was_ready = True
                self._notifier.ready(self._where)
        elif word == words.UNLINKED:
            self._loop.call_later(RELINK_S, self._link_again, worker)
        elif word == words.CONFIG:
            self._told = self._told._replace(loaded=said[1])
        elif word == words.SAYS:
            self._notifier.status(said[1])

    # --- all of them

    async def _stop_when(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._notifier.stopping("draining")
        self._is_ending = True
        self._tell(words.STOP)
        if all(worker.process is None for worker in self._workers):
            self._end(0)

    def _end_all(self, code: int) -> None:
        """Without having served."""
        self._is_ending = True
        for worker in self._workers:
            if worker.process is not None:
                worker.process.kill()
        self._end(code)

    def _end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    def _hurry(self) -> None:
        self._tell(words.HURRY)

    def _reopen(self) -> int:
        self._tell(words.REOPEN, only=1)
        config = self._told.loaded.config
        return 0 if config is None else sum(name is not None for name in (config.log.file, config.log.csv))

    def _tell(self, word: str, only: int = 0) -> None:
        for worker in self._workers:
            if worker.control is not None and only in (0, worker.number):
                worker.control.send(word)


def run(loaded: Loaded, source: str, overrides: Mapping[str, Any] | None, warnings: Sequence[str] = ()) -> int:
    """Serve with the workers of the configuration; as `app.serve.run`."""
    config = loaded.config
    assert config is not None
    count = cores() if config.workers == "auto" else config.workers
    signals.survive()
    logs = Logs(config.log.level, config.log.format)
    try:
        return asyncio.run(_parent(Start(0, count, 0, loaded, source, overrides, tuple(warnings))))
    except StartError as error:
        _log.error("%s", error)
        return 1
    except Exception:  # noqa: BLE001 - the last line: said in the log's own form while there is a log
        _log.critical("the parent of the workers ends; this is a bug, please report it", exc_info=True)
        return 1
    finally:
        logs.close()


async def _parent(start: Start) -> int:
    return await Parent(start, Notifier.of_environment()).run()
