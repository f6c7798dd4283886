"""Answers are checked in a process of their own, one after the other, each within its time.

A thread cannot be killed, and a schema whose pattern never ends would hold the interpreter with it: so it is a process
(`check_worker`), killed when it is late and started again. Owns that process and the bounds: who waits, for how long,
and which schemas it died of.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson

import proxy
from proxy.model.structured import Finding, Verdict
from proxy.model.timeline import Clock
from proxy.wire.structured import ASKED, SAID, SPEC_B

CHECK_S: Final = 0.5
"""For one check."""
PATIENCE_S: Final = 1.0
"""Until its turn."""
ANSWER_B: Final = 1 << 20
MOST_WAITING: Final = 64
_START_S: Final = 10.0
_AGAIN_S: Final = 1.0
"""Between two starts."""
_BAD_S: Final = 600.0
_MOST_BAD: Final = 256
_COMMAND: Final = (sys.executable, "-P", "-m", "proxy.live.check_worker")
_KEPT: Final = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME")


class Checker:
    """One per proxy. `clock`: monotonic seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process: Process | None = None
        self._started = float("-inf")
        self._starting: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Finding]] = set()
        self._bad: OrderedDict[bytes, float] = OrderedDict()
        """Digests of forms that it died of, until when they are not tried again."""
        self._is_closed = False

    async def check(self, spec: bytes, answer: bytes, *, is_stream: bool = False) -> Finding:
        """What is found of an answer. Whoever leaves meanwhile disturbs nothing."""
        if len(spec) > SPEC_B or len(answer) > ANSWER_B:
            return Finding(Verdict.TOO_LARGE)
        digest = sha256(spec).digest()
        if self._bad.get(digest, 0.0) > self._clock():
            return Finding(Verdict.SLOW)
        if len(self._tasks) >= MOST_WAITING or self._is_closed:
            return Finding(Verdict.BUSY)
        frame = ASKED.pack(len(spec), len(answer), is_stream) + spec + answer
        task = asyncio.ensure_future(self._in_turn(digest, frame))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def switch(self, *, is_on: bool) -> None:
        """Have the process, or end it, soon."""
        if is_on:
            self._start_soon()
        elif self._process is not None:
            self._starting = asyncio.ensure_future(self._rest())

    async def start(self) -> None:
        """Before there is something to check: a start takes longer than one may wait."""
        async with self._turn:
            await self._begin()

    async def close(self) -> None:
        """End the process, and what is checked there."""
        self._is_closed = True
        for task in list(self._tasks):
            task.cancel()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with self._turn:
            await self._kill()

    async def _in_turn(self, digest: bytes, frame: bytes) -> Finding:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._turn.acquire()
        except TimeoutError:
            return Finding(Verdict.BUSY)
        try:
            process = self._process
            if process is not None and process.returncode is None:
                return await self._ask(process, digest, frame)
            await self._kill()
            self._start_soon()
            return Finding(Verdict.BUSY)
        finally:
            self._turn.release()

    async def _ask(self, process: Process, digest: bytes, frame: bytes) -> Finding:
        asks, says = process.stdin, process.stdout
        assert asks is not None
        assert says is not None
        try:
            async with asyncio.timeout(CHECK_S):
                asks.write(frame)
                await asks.drain()
                (size,) = SAID.unpack(await says.readexactly(SAID.size))
                verdict, error = orjson.loads(await says.readexactly(size))
                return Finding(Verdict(verdict), error)
        except TimeoutError:
            finding = Finding(Verdict.SLOW)
        except (asyncio.IncompleteReadError, ConnectionError):
            finding = Finding(Verdict.FAILED)
        except asyncio.CancelledError:
            await self._kill()
            raise
        self._remember(digest)
        await self._kill()
        self._start_soon()
        return finding

    async def _rest(self) -> None:
        async with self._turn:
            await self._kill()

    def _start_soon(self) -> None:
        if self._starting is None or self._starting.done():
            self._starting = asyncio.ensure_future(self.start())

    def _remember(self, digest: bytes) -> None:
        self._bad[digest] = self._clock() + _BAD_S
        self._bad.move_to_end(digest)
        while len(self._bad) > _MOST_BAD:
            self._bad.popitem(last=False)

    async def _begin(self) -> None:
        """In its turn; not more than once a second, whatever it dies of."""
        if self._process is not None or self._is_closed or self._clock() < self._started + _AGAIN_S:
            return
        self._started = self._clock()
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=_environment()
        )
        self._process = process
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                await process.stdout.readexactly(SAID.size)
        except (TimeoutError, asyncio.IncompleteReadError):
            await self._kill()
        except asyncio.CancelledError:
            await self._kill()
            raise

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


def _environment() -> dict[str, str]:
    """Of the proxy's own nothing but what Python needs: it may hold keys."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(Path(proxy.__file__).parents[1])}
