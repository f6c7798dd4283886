"""Traffic of short chats and bulk jobs against an OpenAI-compatible base URL, and what its clients saw.

Owns the clients of the demo: how often they ask, for what, and how long they waited. Knows nothing of what answers.
"""

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

import aiohttp

from proxy.sim.http.text import sentence_tokens

CHATS_PER_S = 3.5
CHAT_TURNS = 4
CHATS_OPEN_MAX = 128
"""Conversations at once; more are not begun, so that a proxy that stands still does not fill the memory."""
BULK_JOBS = 6
"""Bulk jobs at any time; the next begins when one ends."""
BULK_TOKENS = 250
REQUEST_TIMEOUT_S = 60.0
LOAD_CHECK_S = 0.25
"""How soon a bulk client hears of another load."""
SEEN_MAX = 50_000
"""Requests remembered; older ones are forgotten."""
_BULK: Final = {"x-tidegate-class": "bulk"}
"""What bulk jobs say of themselves; who does not know the header ignores it."""

Kind = Literal["chat", "bulk"]
End = Literal["served", "refused", "lost", "cut", "waiting"]
"""`lost`: ended before the first token, without an honest refusal; `cut`: after it; `waiting`: for it, still."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, as its client saw it. Times in seconds."""

    kind: Kind
    asked: float
    """On the monotonic clock."""
    end: End
    backend: str
    """As the answer tells; empty where it does not."""
    ttft_s: float | None
    tpot_s: float | None
    tokens: int


@dataclass(slots=True, eq=False)
class _Stream:
    """One answer on its way."""

    first: float | None = None
    last: float = 0.0
    pieces: list[str] = field(default_factory=list)

    def take(self, line: bytes, now: float) -> None:
        """One line. Raises ValueError for an error event."""
        if not line.startswith(b"data: {"):
            return
        event = json.loads(line[6:])
        if "error" in event:
            raise ValueError(event["error"])
        content = event["choices"][0]["delta"].get("content") if event.get("choices") else None
        if content:
            self.first = now if self.first is None else self.first
            self.last = now
            self.pieces.append(content)

    def seen(self, kind: Kind, asked: float, end: End, backend: str) -> Seen:
        tokens = len(self.pieces)
        tpot = (self.last - self.first) / (tokens - 1) if self.first is not None and tokens > 1 else None
        return Seen(kind, asked, end, backend, None if self.first is None else self.first - asked, tpot, tokens)


class Traffic:
    """The clients. `run` goes on until it is cancelled; `load` may change meanwhile."""

    def __init__(self, base_url: str, model: str, seed: int = 0) -> None:
        self.load = 1.0
        """Times the normal traffic."""
        self.seen: deque[Seen] = deque(maxlen=SEEN_MAX)
        self.tokens = 0
        """Of all answers so far."""
        self._url = f"{base_url}/chat/completions"
        self._model = model
        self._rng = Random(seed)  # noqa: S311 - reproducible, not secret
        self._conversations = 0
        self._waiting: dict[_Stream, tuple[Kind, float]] = {}

    def waiting(self, now: float) -> list[Seen]:
        """Who waits for a first token now; the time so far stands as theirs."""
        return [
            Seen(kind, asked, "waiting", "", now - asked, None, 0)
            for stream, (kind, asked) in self._waiting.items()
            if stream.first is None
        ]

    async def run(self) -> None:
        """Chats come at random, bulk jobs one after another."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._bulk_jobs(session, tasks))
            while True:
                if self._conversations < CHATS_OPEN_MAX:
                    tasks.create_task(self._conversation(session))
                await asyncio.sleep(self._rng.expovariate(self.load * CHATS_PER_S / CHAT_TURNS))

    async def _conversation(self, session: aiohttp.ClientSession) -> None:
        """A few turns, each with all that was said before."""
        self._conversations += 1
        try:
            messages = [{"role": "system", "content": self._say(60)}]
            for _ in range(CHAT_TURNS):
                messages.append({"role": "user", "content": self._say(self._rng.randrange(10, 60))})
                answer = await self._ask(session, "chat", messages, self._rng.randrange(20, 80))
                if answer is None:
                    return
                messages.append({"role": "assistant", "content": answer})
                await asyncio.sleep(self._rng.uniform(0.3, 1.5))
        finally:
            self._conversations -= 1

    async def _bulk_jobs(self, session: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        """As many at once as the load says."""
        at_work: set[asyncio.Task[None]] = set()
        while True:
            while len(at_work) < round(BULK_JOBS * self.load):
                job = tasks.create_task(self._bulk_job(session))
                at_work.add(job)
                job.add_done_callback(at_work.discard)
            await asyncio.sleep(LOAD_CHECK_S)

    async def _bulk_job(self, session: aiohttp.ClientSession) -> None:
        messages = [{"role": "user", "content": self._say(self._rng.randrange(1000, 3000))}]
        if await self._ask(session, "bulk", messages, BULK_TOKENS) is None:
            await asyncio.sleep(1.0)

    async def _ask(
        self, session: aiohttp.ClientSession, kind: Kind, messages: list[dict[str, str]], max_tokens: int
    ) -> str | None:
        """One stream; None when it did not come whole."""
        body = {"model": self._model, "messages": messages, "max_tokens": max_tokens, "stream": True}
        asked, stream, backend = time.monotonic(), _Stream(), ""
        end: End = "served"
        self._waiting[stream] = kind, asked
        try:
            async with session.post(self._url, json=body, headers=_BULK if kind == "bulk" else {}) as response:
                backend = _backend(response.headers.get("x-tidegate-route", ""))
                if response.status in (429, 503) and "retry-after" in response.headers:
                    end = "refused"
                else:
                    response.raise_for_status()
                    async for line in response.content:
                        stream.take(line, time.monotonic())
        except (aiohttp.ClientError, TimeoutError, ValueError):
            end = "lost" if stream.first is None else "cut"
        finally:
            del self._waiting[stream]
        self.tokens += len(stream.pieces)
        self.seen.append(stream.seen(kind, asked, end, backend))
        return "".join(stream.pieces) if end == "served" else None

    def _say(self, tokens: int) -> str:
        return "".join(sentence_tokens(self._rng, tokens))


def _backend(route: str) -> str:
    """The backend that our header names; empty where there is none."""
    for word in route.split("; "):
        name, _, value = word.partition("=")
        if name == "backend":
            return "" if value == "none" else value
    return ""
