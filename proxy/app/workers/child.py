"""`python -m proxy.app.workers.child FD worker-N`: one worker, started by its parent. The second word is for people who
look at a list of processes."""

import asyncio
import gc
import logging
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from os import environ
from pathlib import Path
from time import time

import uvloop

from proxy import __version__, build
from proxy.app import signals
from proxy.app.config_file import ConfigFile
from proxy.app.config_life import ConfigLife
from proxy.app.listeners import StartError
from proxy.app.membership import Membership
from proxy.app.proxy import Proxy
from proxy.app.serve import check_descriptors, log_files
from proxy.app.tasks import watched
from proxy.app.workers import start as words
from proxy.app.workers.control import Control, Said
from proxy.app.workers.decider import DecidingHost
from proxy.app.workers.follower import Follower, RejectedError
from proxy.app.workers.seat import Seat
from proxy.app.workers.share import share
from proxy.app.workers.start import Start
from proxy.live.background import address_space, memory
from proxy.obs.config_metrics import ConfigState
from proxy.obs.logs import Logs

_log = logging.getLogger("tidegate")
REJECTED = 3
"""Exit code of a worker that is of another version than the decider."""


def version() -> str:
    """What both ends of a link have to be."""
    return f"{__version__} ({build()}), Python {sys.version.split()[0]}"


class Child:
    """One process."""

    def __init__(self, connection: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._began: asyncio.Future[tuple[Start, socket.socket, socket.socket]] = self._loop.create_future()
        self._joins: deque[socket.socket] = deque()
        self._joined = asyncio.Event()
        self._asked: signals.Signals | None = None
        self._is_whole = False
        """Everybody drains, and not only this worker."""
        self._proxy: Proxy | None = None
        self._logs: Logs | None = None
        self._life: ConfigLife | None = None
        self._control = Control(self._loop, connection, self._heard, self._orphaned)

    async def run(self) -> int:
        """Until the end; the exit code."""
        start, listen, admin = await self._began
        config = start.loaded.config
        assert config is not None
        log = config.log
        decides = start.number == 1
        self._logs = Logs(log.level, log.format, log_files(config) if decides else None)
        try:
            check_descriptors(config)
            return await (self._decide if decides else self._follow)(start, listen, admin)
        except StartError as error:
            _log.error("%s", error)
            return 1
        except RejectedError:
            return REJECTED
        except Exception:  # noqa: BLE001 - the last line: said in the log's own form while there is a log
            _log.critical("worker %d ends; this is a bug, please report it", start.number, exc_info=True)
            return 1
        finally:
            self._control.close()
            self._logs.close()

    # --- the two kinds

    async def _decide(self, start: Start, listen: socket.socket, admin: socket.socket) -> int:
        loaded, logs = start.loaded, self._logs
        assert loaded.config is not None
        assert logs is not None
        for warning in start.warnings:
            _log.warning("%s", warning)
        host = DecidingHost(version())
        state = ConfigState(start.source, loaded.digest, time())
        members = Membership()
        await members.learn(loaded.config)
        seat = Seat(listen=listen, admin=admin, first_job=start.first_job, others=host.others, last=host.last)
        proxy = self._proxy = Proxy(members.in_config(loaded.config), loaded.rule_lines, logs, state, seat)
        host.serves(proxy)
        file = None
        if start.overrides is not None:
            file = ConfigFile(Path(start.source), environ, start.overrides, lambda config: share(config, start.workers))
        life = self._life = ConfigLife(proxy, file, loaded, state, members)
        life.reloader.on_reloaded.append(self._tell_config)
        asked = self._signals(logs)
        life.begin()
        await proxy.start()
        life.started()
        for line in proxy.banner(start.source):
            logs.say(line)
        self._control.send(words.READY, f"listening on {proxy.listen_url}")
        joining = watched(self._join(host.join))
        _freeze()
        await asked.stopping.wait()
        if not self._is_whole:
            host.close()
        joining.cancel()
        await life.close()
        outlook = proxy.draining()
        _log.info("%s", outlook)
        self._control.send(words.SAYS, outlook)
        how = await proxy.stop()
        _log.info("%s", how)
        self._control.send(words.SAYS, how)
        return asked.exit_code

    async def _follow(self, start: Start, listen: socket.socket, admin: socket.socket) -> int:
        logs = self._logs
        assert logs is not None
        follower = Follower(start, version(), listen, admin, lambda: self._control.send(words.UNLINKED))
        joining = watched(self._join(follower.join))
        asked = self._signals(logs)
        stopping = asyncio.ensure_future(asked.stopping.wait())
        await asyncio.wait((follower.started, stopping), return_when=asyncio.FIRST_COMPLETED)
        if follower.started.done():
            follower.started.result()
            self._control.send(words.READY, "")
            _log.info("worker %d of %d is ready", start.number, start.workers)
            _freeze()
        await stopping
        joining.cancel()
        proxy = self._proxy = follower.proxy
        if proxy is not None:
            how = await proxy.stop()
            _log.info("worker %d: %s", start.number, how)
        await follower.close()
        return asked.exit_code

    # --- what is said

    def _signals(self, logs: Logs) -> signals.Signals:
        def hurry() -> None:
            self._is_whole = True
            if self._proxy is not None:
                self._proxy.hurry()

        def reload() -> None:
            if self._life is not None:
                self._life.reloader.ask_soon("SIGHUP")

        asked = self._asked = signals.Signals(self._loop, hurry, reload, logs.reopen)
        return asked

    def _heard(self, said: Said, sockets: list[socket.socket]) -> None:
        word = said[0]
        if word == words.START:
            self._began.set_result((said[1], *sockets))
        elif word == words.LINK:
            self._joins.extend(sockets)
            self._joined.set()
        elif word == words.STOP:
            self._stop()
        elif word == words.HURRY and self._proxy is not None:
            self._proxy.hurry()
        elif word == words.RELOAD and self._life is not None:
            self._life.reloader.ask_soon("SIGHUP")
        elif word == words.REOPEN and self._logs is not None:
            self._logs.reopen()

    def _stop(self) -> None:
        self._is_whole = True
        if self._asked is not None:
            self._asked.stopping.set()
        else:  # it has not begun
            sys.exit(0)

    def _orphaned(self) -> None:
        _log.error("the parent of this worker is gone: it drains and ends")
        self._stop()

    def _tell_config(self) -> None:
        assert self._life is not None
        loaded = self._life.reloader.loaded
        if loaded.config is not None:
            self._control.send(words.CONFIG, loaded)

    async def _join(self, join: Callable[[socket.socket], Awaitable[None]]) -> None:
        while True:
            await self._joined.wait()
            self._joined.clear()
            while self._joins:
                await join(self._joins.popleft())


def _freeze() -> None:
    gc.collect()
    gc.freeze()  # what the start left will never be garbage: a full collection need not look at it


async def _run(number: int) -> int:
    return await Child(socket.socket(fileno=number)).run()


def main(number: int) -> int:
    """The worker whose parent is at the other end of this descriptor."""
    signals.survive()
    address_space.be_frugal()
    memory.return_large_blocks()
    return uvloop.run(_run(number))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
