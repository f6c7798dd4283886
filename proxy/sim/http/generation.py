"""Chat and text completions: from an Ask to its answer, token by token as the engine emits them.

Owns the order of events of a stream. Text is known beforehand (`asked`), JSON is in `shapes`, faults are in `wire`.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web

from proxy.sim.engine.sequence import Emitted
from proxy.sim.http import refusal, shapes
from proxy.sim.http.driver import EngineDriver
from proxy.sim.http.exposition import Latencies
from proxy.sim.http.faults import BadSse, Faults
from proxy.sim.http.request import Choice, GenerationRequest
from proxy.sim.http.shapes import Piece, Shape, encode
from proxy.sim.http.wire import Wire


@dataclass(slots=True)
class Tally:
    """Tokens so far."""

    generated: int = 0
    cached: int = 0


class Generator:
    """Runs Asks on one engine."""

    def __init__(self, driver: EngineDriver, latencies: Latencies) -> None:
        self._driver = driver
        self._latencies = latencies

    def check_room(self, requests: int) -> None:
        """Raises Refusal when the queue is full."""
        engine = self._driver.engine
        bound = engine.spec.max_queued
        if bound is not None and engine.running + engine.waiting + requests > bound:
            raise refusal.busy()

    async def emissions(self, ask: GenerationRequest, tally: Tally) -> AsyncGenerator[tuple[Choice, Emitted], None]:
        """What the engine does for each choice; it is cancelled when nobody listens any more."""
        self.check_room(len(ask.choices))
        per_prompt = len(ask.choices) // len(ask.prompts)
        wanted = [(choice.prompt.tokens, len(choice.tokens), choice.prompt.hashes) for choice in ask.choices]
        watch = self._latencies.watch(self._driver, [choice.finish_reason for choice in ask.choices], wanted)
        async with self._driver.run(wanted) as run:
            while (step := await run.next()) is not None:
                index, emitted = step
                watch.note(index, emitted)
                tally.generated += emitted.tokens
                if emitted.finished and index % per_prompt == 0:
                    tally.cached += emitted.cached_tokens
                yield ask.choices[index], emitted

    async def answer(self, ask: GenerationRequest, shape: Shape, wire: Wire, faults: Faults) -> web.StreamResponse:
        """The whole answer or the stream, as asked."""
        if faults.bad_sse is BadSse.HTML:
            return await wire.page()
        if ask.stream:
            return await self._stream(ask, shape, wire, faults.tokens_per_event)
        tally = Tally()
        async with aclosing(self.emissions(ask, tally)) as emissions:
            async for _ in emissions:
                pass
        return await wire.whole(200, encode(shape.whole(shapes.usage(ask, tally.generated, tally.cached))))

    async def _stream(
        self, ask: GenerationRequest, shape: Shape, wire: Wire, tokens_per_event: int
    ) -> web.StreamResponse:
        tally = Tally()
        self.check_room(len(ask.choices))
        await wire.start_stream()
        cutters = [Cutter(choice, tokens_per_event) for choice in ask.choices]
        async with aclosing(self.emissions(ask, tally)) as emissions:
            async for choice, emitted in emissions:
                for event in cutters[choice.index].events(emitted, shape):
                    if ask.continuous_usage:
                        event["usage"] = shapes.running_usage(ask, sum(one.sent for one in cutters))
                    await wire.event(encode(event))
        if ask.include_usage:
            await wire.event(encode(shape.usage_event(shapes.usage(ask, tally.generated, tally.cached))))
        return await wire.end_stream()


class Cutter:
    """The tokens of one choice, cut to events."""

    def __init__(self, choice: Choice, tokens_per_event: int) -> None:
        self._choice = choice
        self._per_event = tokens_per_event
        self._ready = 0
        self._opened = False
        self.sent = 0
        """Tokens in events so far."""

    def events(self, emitted: Emitted, shape: Shape) -> Iterator[shapes.Json]:
        """Events that these tokens complete; `sent` is up to date with each."""
        if not self._opened:
            self._opened = True
            yield from shape.opening(self._choice)
        self._ready += emitted.tokens
        while self._ready >= self._per_event or (emitted.finished and self._ready):
            yield self._piece(min(self._per_event, self._ready), shape)
        if emitted.finished and not self._choice.tokens:
            yield self._piece(0, shape)

    def _piece(self, count: int, shape: Shape) -> shapes.Json:
        start = self.sent
        self.sent += count
        self._ready -= count
        tokens = self._choice.tokens[start : self.sent]
        return shape.piece(Piece(self._choice, start, tokens, self.sent == len(self._choice.tokens)))
