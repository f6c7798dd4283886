"""The process that makes the load, from outside: started, listened to, stopped."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

from proxy.bench.spec import Finished, LoadSpec, Told, told_in

WORKER: Final = "proxy.app.bench_worker"
_LINE_MAX_B: Final = 64 << 20
_WHY_MAX: Final = 2000
STOP_S: Final = 10.0


class ChildError(Exception):
    """The process ended without having finished; the message says why."""


class Child:
    """One cell. `told` until it ends; `stop` makes it finish early."""

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopped = False

    async def told(self) -> AsyncGenerator[Told, None]:
        """All it says; the last is a Finished. Raises ChildError."""
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_MAX_B,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read())
        finished = False
        try:
            process.stdin.write(self._spec.model_dump_json().encode() + b"\n")
            with suppress(ConnectionError):  # it ended at once; why, it says below
                await process.stdin.drain()
            if self._is_stopped:
                self.stop()  # it was told so before there was anybody to tell
            async for line in process.stdout:
                told = told_in(line)
                finished = isinstance(told, Finished)
                yield told
            await process.wait()
        finally:
            if not finished:
                self.kill()  # nobody listens any more
            await self._end(process)
            said = (await errors).decode("utf-8", "replace")
        if not finished:
            last = said.strip().splitlines()[-1:] or [f"it ended with {process.returncode}"]
            raise ChildError(f"the load generator failed: {last[0][:_WHY_MAX]}")

    def stop(self) -> None:
        """What is under way is thrown away; a Finished follows."""
        self._is_stopped = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """It does not stop: at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self.stop()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
