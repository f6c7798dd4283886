"""From "read it anew" to another configuration in place, or to the reasons why not.

    SIGHUP, POST /reload, a file that changed ─▶ ask ─▶ one at a time: read, check, prepare (in a thread) ─▶ commit
                                                  │ while one runs: one more afterwards, for all who asked meanwhile
                                                  └▶ what became of it

Owns the order and the pace, what is said of it in the log, and the way back to the one before. Requests hear nothing of
it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from time import monotonic, time
from typing import Any, Final

from proxy.app.candidate import Candidate, candidate
from proxy.app.config_file import ConfigFile
from proxy.app.configured import Configured
from proxy.app.listeners import StartError
from proxy.app.membership import Membership
from proxy.app.tasks import watched
from proxy.config.changes import Change, changes
from proxy.config.diagnostics import render
from proxy.config.loader import Loaded
from proxy.config.restart import RESTART, as_running
from proxy.obs.config_metrics import ConfigState

_log = logging.getLogger("tidegate.reload")
PAUSE_S: Final = 0.2
"""Between two reloads: a storm of them costs five a second."""
READ_S: Final = 60.0
"""A file system that takes longer has failed."""
_SAID: Final = 20
"""Changes that are said in the log."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of a reload."""

    ok: bool
    digest: str = ""
    """Of what is in place now."""
    changes: tuple[Change, ...] = ()
    """In place, or waiting for a restart."""
    errors: tuple[str, ...] = ()
    """A line each, with the place in the file."""

    def view(self) -> dict[str, Any]:
        """JSON's types only."""
        return {
            "reloaded": self.ok,
            "hash": self.digest,
            "changes": [change.said() for change in self.changes if not change.restart],
            "restart_needed": [change.said() for change in self.changes if change.restart],
            "errors": list(self.errors),
        }


@dataclass(frozen=True, slots=True)
class InPlace:
    """A configuration that is or was in place."""

    candidate: Candidate
    digest: str


class Reloader:
    """One per process, on the loop of its proxy."""

    def __init__(
        self,
        file: ConfigFile | None,
        configured: Configured,
        meet: Callable[[Candidate], Awaitable[None]],
        first: Loaded,
        state: ConfigState,
        members: Membership,
    ) -> None:
        """`file`: None: the engines were named on the command line, and there is nothing to read anew; `meet`: those
        that a configuration brings are asked a first time; `members`: what stands behind names."""
        assert first.config is not None
        self.file = file
        self.loaded = first
        """What was read last, right or wrong."""
        self._configured = configured
        self._meet = meet
        self._state = state
        self.members = members
        self.now = InPlace(candidate(first.config, first.rule_lines), first.digest)
        self.before: InPlace | None = None
        """What was in place before the last change of meaning; None: nothing has changed yet."""
        self.changed_at = monotonic()
        self.started = asyncio.Event()
        """The proxy is there; what is asked for earlier waits."""
        self.is_ended = False
        """The drain has begun."""
        self._ended_at = 0.0
        self._turn = asyncio.Lock()
        self._running: asyncio.Task[Reloaded] | None = None
        self._next: asyncio.Task[Reloaded] | None = None
        self.on_reloaded: list[Callable[[], None]] = []
        """Called with nothing after each attempt."""

    async def ask(self, trigger: str) -> Reloaded:
        """One reload that begins after now; who asks while one runs shares the one after it with all others."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._in_turn(self._running, trigger))
        else:
            self._state.merged += 1
        return await asyncio.shield(self._next)

    def ask_soon(self, trigger: str) -> None:
        """The same for whoever does not want to know; the log tells."""
        if self._next is not None:
            self._state.merged += 1
        else:
            watched(self._asked(trigger))

    async def go_back(self, to: InPlace, reason: str) -> None:
        """That one is in place again, whatever the file says. StartError where it cannot be."""
        async with self._turn:
            await self._bring(to.candidate)
        self.before, self.now, self.changed_at = None, to, monotonic()
        self._state.rolled_back(to.digest, reason, time())
        _log.warning("the configuration was rolled back to %s: %s", to.digest or "the one before", reason)

    async def follow_names(self) -> None:
        """Until cancelled: whoever joins or leaves a name is put in place with what is there."""
        await self.started.wait()
        await self.members.run(lambda: self.now.candidate.config, self._with_members)

    async def _with_members(self) -> None:
        async with self._turn:
            if self.is_ended:
                return
            try:
                await self._bring(self.now.candidate)
            except StartError as error:
                _log.error("the backends stay as they are: %s", error)

    async def close(self) -> None:
        """The end has begun: nothing is put in place any more."""
        self.is_ended = True
        tasks = [task for task in (self._running, self._next) if task is not None and not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _asked(self, trigger: str) -> None:
        await self.ask(trigger)

    # --- one reload

    async def _in_turn(self, running: "asyncio.Task[Reloaded] | None", trigger: str) -> Reloaded:
        if running is not None:
            await asyncio.wait((running,))
        await asyncio.sleep(max(0.0, self._ended_at + PAUSE_S - monotonic()))
        self._running, self._next = self._next, None
        async with self._turn:
            reloaded = await self._reload(trigger)
        self._ended_at = monotonic()
        return reloaded

    async def _reload(self, trigger: str) -> Reloaded:
        await self.started.wait()
        if self.file is None or self.is_ended:
            why = (
                "the proxy is draining"
                if self.is_ended
                else "there is no file: the engines were named on the command line"
            )
            return self._refused(trigger, [why])
        try:
            async with asyncio.timeout(READ_S):
                loaded, prepared = await asyncio.to_thread(self._read, self.file)
        except TimeoutError:
            return self._refused(trigger, [f"{self.file.path} could not be read within {READ_S:g} s"])
        self.loaded = loaded
        if isinstance(prepared, Candidate):
            return await self._take(trigger, loaded, prepared)
        return self._refused(trigger, prepared)

    def _read(self, file: ConfigFile) -> tuple[Loaded, Candidate | list[str]]:
        """In a thread: the file, and all that it names."""
        loaded = file.read()
        if loaded.config is None:
            return loaded, _lines(loaded)
        try:
            return loaded, candidate(loaded.config, loaded.rule_lines)
        except StartError as error:
            return loaded, [str(error)]

    async def _take(self, trigger: str, loaded: Loaded, wanted: Candidate) -> Reloaded:
        running = self.now.candidate.config
        found = changes(running, wanted.config)
        in_place = InPlace(wanted._replace(config=as_running(wanted.config, running)), loaded.digest)
        try:
            await self._bring(in_place.candidate)
        except StartError as error:
            return self._refused(trigger, [str(error)])
        if any(not change.restart for change in found):
            self.before, self.changed_at = self.now, monotonic()
        self.now = in_place
        waiting = [change.said() for change in found if change.restart]
        self._state.loaded(trigger, loaded.digest, waiting, time())
        self._say(trigger, loaded, found)
        return self._told(Reloaded(True, loaded.digest, tuple(found)))

    async def _bring(self, written: Candidate) -> None:
        """It is in place, with one backend for each address of its names. StartError where it cannot be."""
        await self.members.learn(written.config)
        wanted = self.members.in_candidate(written)
        await self._meet(wanted)
        self._configured.prepare(wanted)()

    def _refused(self, trigger: str, errors: list[str]) -> Reloaded:
        self._state.failed(trigger, errors, time())
        for line in errors:
            _log.error("%s", line)
        _log.error("the configuration was not reloaded (%s): the one that is in place stays", trigger)
        return self._told(Reloaded(False, self.now.digest, (), tuple(errors)))

    def _told(self, reloaded: Reloaded) -> Reloaded:
        for tell in self.on_reloaded:
            tell()
        return reloaded

    def _say(self, trigger: str, loaded: Loaded, found: list[Change]) -> None:
        for line in _lines(loaded):
            _log.warning("%s", line)
        done = [change for change in found if not change.restart]
        for change in done[:_SAID]:
            _log.info("%s %s", change.sign, change.said())
        if len(done) > _SAID:
            _log.info("… and %d more changes", len(done) - _SAID)
        for change in found:
            if change.restart:
                option = change.path.partition("[")[0]
                _log.warning(
                    "%s: not before a restart: %s", change.said(), RESTART.get(option, "it is read at the start")
                )
        what = f"{len(done)} changes" if len(done) != 1 else "1 change"
        _log.info(
            "the configuration was reloaded (%s): %s, now %s",
            trigger,
            what if done else "nothing changed",
            loaded.digest,
        )


def _lines(loaded: Loaded) -> list[str]:
    """What is wrong or doubtful, one line each."""
    return [render([replace(found, source="")], "text").rstrip("\n") for found in loaded.diagnostics]
