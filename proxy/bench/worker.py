"""The process that makes the load of one cell: told what to do on standard input, it tells what it measured on standard
output. It ends with its parent: its input ends then.

Owns that process: its loop, its descriptors, and what happens to requests that are under way when it has to stop.
"""

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import uvloop

from proxy.bench.asks import Source
from proxy.bench.lag import LagWatch
from proxy.bench.load import Load
from proxy.bench.player import CountTokens, Player
from proxy.bench.spec import Beat, LoadSpec, Told, line_of
from proxy.bench.workloads.named import source_of

BEAT_S: Final = 0.5
_SPEC_MAX_B: Final = 256 << 20


def main(counter: Callable[[str], CountTokens | None]) -> int:
    """`counter`: a tokenizer by its name or file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which says when to stop
    _allow_descriptors()
    spec = LoadSpec.model_validate_json(sys.stdin.buffer.readline(_SPEC_MAX_B))
    source = source_of(spec.workload, spec.arrivals.speed or 1.0)
    for ask in source.session(spec.seed, -1).asks:
        if ask.prepare is not None:
            ask.prepare()  # what it needs once, such as an index, is no part of a request
    count = counter(spec.tokenizer) if spec.tokenizer else None
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    return uvloop.run(_run(spec, source, count))


async def _run(spec: LoadSpec, source: Source, count: CountTokens | None) -> int:
    loop = asyncio.get_running_loop()
    _, output = await loop.connect_write_pipe(_Output, sys.stdout.buffer)
    stopped = await _end_of_input(loop)
    tell = output.tell
    watch = LagWatch()
    player = Player(spec, source.name, watch, tell, count)
    load = Load(spec, source, player, watch)
    beats = asyncio.create_task(_beats(load, player, watch, tell))
    playing = asyncio.create_task(load.run())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not playing.done():
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await playing
        beats.cancel()
        watch.stop()
        await tell(load.cut_short())
    else:
        beats.cancel()
        await tell(playing.result())
    player.close()
    await output.close()
    return 0


class _Output(asyncio.BaseProtocol):
    """The pipe to the parent; who tells more than it takes waits."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._open, self._lost = asyncio.Event(), asyncio.Event()
        self._open.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def pause_writing(self) -> None:
        self._open.clear()

    def resume_writing(self) -> None:
        self._open.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.set()
        self._lost.set()

    async def tell(self, told: Told) -> None:
        """One line."""
        assert self._transport is not None
        if not self._lost.is_set():
            self._transport.write(line_of(told))
            await self._open.wait()

    async def close(self) -> None:
        """When all is told."""
        assert self._transport is not None
        self._transport.close()
        await self._lost.wait()


async def _beats(load: Load, player: Player, watch: LagWatch, tell: Callable[[Told], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        await tell(Beat(phase=load.phase, open=player.open, sent=player.sent, lag_ms=round(watch.last_ms, 3)))


async def _end_of_input(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Set when the parent says stop, or is gone."""
    ended = asyncio.Event()

    class _Input(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            ended.set()

        def connection_lost(self, exc: Exception | None) -> None:
            ended.set()

    await loop.connect_read_pipe(_Input, sys.stdin.buffer)
    return ended


def _allow_descriptors() -> None:
    """As many as this process may have: one for each connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
