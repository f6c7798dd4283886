"""Plays one request of a plan: prepares it, sends it, reads its answer, and says what was measured.

Owns what is counted from where: latencies from the moment at which the request was meant to go, so that a load
generator or a pool that is late does not flatter what it measures.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from proxy.bench.answer import Answer
from proxy.bench.asks import PATHS, Ask, Dressing, Prepared, Stage, body_of, digest
from proxy.bench.details import Detail, Side, TokenSource
from proxy.bench.http import Connection, LostError, Pool, Whole
from proxy.bench.lag import LagWatch
from proxy.bench.rows import Row, timestamp
from proxy.bench.spec import LoadSpec, Sample, TargetSpec
from proxy.bench.text import rng_of
from proxy.wire.server_timing import parse

_LEAVES_BEFORE_S: Final = 0.5
"""Who leaves before the first token does so within this."""
_STAGES_S: Final = 5.0
_NOBODY: Final[frozenset[str]] = frozenset()
CountTokens = Callable[[str], int]


@dataclass(slots=True)
class _Course:
    """One request on its way. Monotonic seconds."""

    intended: float
    sent: float | None = None
    at_once: int = 0
    stages: list[Stage] = field(default_factory=list)
    connection: Connection | None = None
    left: bool = False
    told: dict[str, float] = field(default_factory=dict)
    """Stages by the proxy, when it was over."""

    def leave(self) -> None:
        """The client goes away."""
        self.left = True
        if self.connection is not None:
            self.connection.close()


class _Made(NamedTuple):
    """One request that is over."""

    number: int
    digest: str
    side: Side
    answer: Answer
    course: _Course


class Player:
    """One per cell. `emit` is given what was measured; `count`: tokens of a text, where a server does not tell."""

    def __init__(
        self,
        spec: LoadSpec,
        workload: str,
        watch: LagWatch,
        emit: Callable[[Sample], Awaitable[None]],
        count: CountTokens | None,
    ) -> None:
        self._spec, self._workload, self._watch, self._emit, self._count = spec, workload, watch, emit, count
        self._pools = {
            side: Pool(target.url, target.headers, insecure=target.insecure) for side, target in spec.targets.items()
        }
        self._wall = time.time() - time.monotonic()
        self.open = 0
        """Under way now."""
        self.sent = 0
        self.failed = 0
        """Of those that are not recorded."""
        self._asking: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """All connections."""
        for pool in self._pools.values():
            pool.close()

    async def play(self, number: int, ask: Ask, side: Side, intended: float, *, recorded: bool = True) -> None:
        """One request of the plan, to one target."""
        target = self._spec.targets[side]
        course = _Course(intended)
        self.open += 1
        try:
            prepared = None if ask.prepare is None else await asyncio.to_thread(ask.prepare)
            if prepared is not None:
                course.stages += prepared.stages
            answer = Answer(ask.kind, leave_after=self._leaves_after(number, ask) if recorded else None)
            await self._exchange(number, ask, prepared, target, answer, course)
            if ask.finish is not None and answer.outcome == "served":
                await self._finish(ask, side, answer, course)
        finally:
            self.open -= 1
        if not recorded:
            self.failed += answer.outcome != "served"
            return
        messages = None if prepared is None else prepared.messages
        made = _Made(number, digest(ask, messages), side, answer, course)
        if self._spec.asks_stages and answer.first_at is not None and not course.told and _tells(answer):
            asking = asyncio.create_task(self._ask_stages(made))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
        else:
            await self._emit(self._sample(made))

    async def settle(self) -> None:
        """All that was played has been emitted."""
        while self._asking:
            await asyncio.gather(*self._asking)

    async def _exchange(
        self, number: int, ask: Ask, prepared: Prepared | None, target: TargetSpec, answer: Answer, course: _Course
    ) -> None:
        dressing = Dressing(target.model, target.includes_usage, target.ignores_end, target.salt)
        body = body_of(ask, None if prepared is None else prepared.messages, dressing)
        headers = dict(ask.headers) if target.sends_class else {}
        if course.stages:
            headers["x-tidegate-stages"] = ", ".join(f"{one.name};dur={one.ms:.3f}" for one in course.stages)
        answer.leave = course.leave

        def on_connection(connection: Connection) -> None:
            course.connection = connection

        def on_sent() -> None:
            if course.sent is None:
                course.sent, course.at_once = time.monotonic(), self.open
                self.sent += 1
                self._watch.sent(course.sent - course.intended - sum(one.ms for one in course.stages) / 1e3)
                if answer.leaves_first:
                    wait = rng_of("leaves", self._spec.seed, number).uniform(0.0, _LEAVES_BEFORE_S)
                    asyncio.get_running_loop().call_later(wait, course.leave)

        pool = self._pools[self._side_of(target)]
        try:
            async with asyncio.timeout(self._spec.timeout_s):
                await pool.ask(
                    PATHS[ask.kind], body, answer, headers=headers, on_sent=on_sent, on_connection=on_connection
                )
            answer.end()
            if answer.outcome == "served" and ask.check is not None:
                answer.invalid = ask.check(answer.text)
        except LostError as lost:
            answer.error = answer.error or str(lost)
        except TimeoutError:
            answer.error = f"no end within {self._spec.timeout_s:g} s"
        if answer.ended_at is None or answer.error:
            answer.ended_at = time.monotonic()
        self._watch.events += len(answer.moments)

    async def _finish(self, ask: Ask, side: Side, answer: Answer, course: _Course) -> None:
        """What the client does with the answer, and its report to a proxy that wants it."""
        assert ask.finish is not None
        course.stages += await asyncio.to_thread(ask.finish, answer.text)
        answer.ended_at = time.monotonic()
        if _tells(answer):
            report = {"total": (answer.ended_at - course.intended) * 1e3, "post_process": course.stages[-1].ms}
            course.told = await self._timing(side, answer, "/stages", orjson.dumps(report))

    async def _ask_stages(self, made: _Made) -> None:
        """Where the whole time of a stream went is known when it is over: nobody waits for it meanwhile."""
        made.course.told = await self._timing(made.side, made.answer, "", b"")
        await self._emit(self._sample(made))

    async def _timing(self, side: Side, answer: Answer, more: str, body: bytes) -> dict[str, float]:
        """Stages by the proxy, ms; empty: it does not tell, which changes nothing of the measurement."""
        path = f"/v1/tidegate/requests/{answer.headers['x-request-id']}{more}"
        told = Whole()
        try:
            async with asyncio.timeout(_STAGES_S):
                await self._pools[side].ask(path, body, told, method="POST" if body else "GET")
            fields = orjson.loads(bytes(told.body))
            return {one["name"]: float(one["ms"]) for one in fields["stages"]} if told.status == 200 else {}
        except (LostError, TimeoutError, ValueError, KeyError, TypeError):
            return {}

    def _side_of(self, target: TargetSpec) -> Side:
        return next(side for side, one in self._spec.targets.items() if one is target)

    def _leaves_after(self, number: int, ask: Ask) -> int | None:
        rng = rng_of("cancel", self._spec.seed, number)
        if not self._spec.cancel or rng.random() >= self._spec.cancel:
            return None
        return rng.randrange(max(1, ask.output_tokens))

    # what was measured

    def _sample(self, made: _Made) -> Sample:
        number, of, side, answer, course = made
        assert answer.ended_at is not None
        left = course.left and bool(answer.error)
        outcome = "cancelled" if left else "invalid" if answer.invalid else answer.outcome
        tokens, source = self._tokens(answer)
        first = answer.first_at
        streamed = first is not None and len(answer.moments) > 1 and tokens is not None and tokens > 1
        route = _route(answer.headers.get("x-tidegate-route", ""))
        closed = self._spec.arrivals.concurrency
        row = Row(
            timestamp=timestamp(course.intended + self._wall),
            hardware="",
            model=self._spec.targets[side].model,
            precision="",
            server="",
            concurrency=closed if closed is not None else course.at_once or None,
            batch_window_ms=None,
            prompt_tokens=answer.tokens("prompt_tokens"),
            output_tokens=tokens,
            ttft_ms=None if first is None else (first - course.intended) * 1e3,
            e2e_ms=(answer.ended_at - course.intended) * 1e3,
            tpot_ms=(
                (answer.moments[-1] - answer.moments[0]) * 1e3 / (tokens - 1)
                if streamed and tokens is not None and outcome in ("served", "invalid")
                else None
            ),
            success=outcome == "served",
        )
        detail = Detail(
            cell=self._spec.cell,
            index=number,
            workload=self._workload,
            digest=of,
            intended_at=course.intended + self._wall,
            sent_at=(course.intended if course.sent is None else course.sent) + self._wall,
            outcome=outcome,
            status=answer.status,
            error="" if left else answer.invalid or answer.error,
            side=side,
            request_id=answer.headers.get("x-request-id", ""),
            backend=route.get("backend", ""),
            stages_ms=_stages(answer, course),
            answer_cache=answer.headers.get("x-tidegate-cache", ""),
            cached_prompt_tokens=answer.cached_tokens,
            batch_size=_whole(route.get("batch", "")),
            waited_ms=_milliseconds(route.get("waited", "")),
            tokens_source=source,
            gaps=answer.gaps,
            text_digest=answer.text_digest,
            text_chars=len(answer.text),
            text=answer.text if self._spec.keeps_text else None,
        )
        return Sample(row=row, detail=detail)

    def _tokens(self, answer: Answer) -> tuple[int | None, TokenSource]:
        told, prompt = answer.tokens("completion_tokens"), answer.tokens("prompt_tokens")
        if answer.is_vectors:
            return None, "none" if prompt is None else "usage"
        if told is not None:
            return told, "usage"
        text = answer.text
        if text and self._count is not None:
            return self._count(text), "tokenizer"
        return (len(answer.moments), "events") if answer.moments else (None, "none")


def _tells(answer: Answer) -> bool:
    """It is a proxy's that can be asked for more."""
    return "server-timing" in answer.headers and "x-request-id" in answer.headers


def _stages(answer: Answer, course: _Course) -> dict[str, float]:
    told = parse(answer.headers.get("server-timing", "").encode("latin-1"), _NOBODY).stages
    stages = {name: stage.ms for name, stage in told.items() if name not in ("total", "unattributed")} | course.told
    for stage in course.stages:
        stages[stage.name] = round(stage.ms, 3)
    return stages


def _route(line: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in line.split("; ") if "=" in part)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _milliseconds(text: str) -> float | None:
    number = _whole(text.removesuffix("ms"))
    return None if number is None else float(number)
