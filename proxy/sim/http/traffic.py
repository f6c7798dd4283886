"""Light traffic of short chats and bulk jobs against an OpenAI-compatible base URL, and what its clients saw.

Owns the clients of the demo: how often they ask, for what, and how long they waited. Knows nothing of what answers.
"""

import asyncio
import json
import math
import time
from collections import deque
from dataclasses import dataclass, field
from random import Random

import aiohttp

from proxy.sim.http.text import sentence_tokens

CHATS_PER_S = 2.0
CHAT_TURNS = 4
CHATS_OPEN_MAX = 32
"""Chats at once; more are not begun, so that a proxy that stands still does not fill the memory."""
BULK_JOBS = 2
"""Bulk jobs at any time; the next begins when one ends."""
BULK_PAUSE_S = 1.0
REQUEST_TIMEOUT_S = 60.0
RECENT_S = 30.0
"""The live numbers cover the chats of so many seconds."""
_BULK = {"x-tidegate-class": "bulk"}
"""What bulk jobs say of themselves; who does not know the header ignores it."""


@dataclass(slots=True)
class TrafficMeter:
    """What the clients saw."""

    chats: int = 0
    bulk: int = 0
    failed: int = 0
    tokens: int = 0
    first_tokens: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=4096))
    """(when, seconds to the first token) of recent chats."""
    promised_s: float | None = None
    """Chats are promised their first token within so many seconds. None: nothing."""
    _since: tuple[float, int] = (0.0, 0)

    def line(self, now: float) -> str:
        """The live line; tokens per second since the last one."""
        start, tokens = self._since
        rate = (self.tokens - tokens) / (now - start) if start else 0.0
        self._since = (now, self.tokens)
        recent = sorted(seconds for at, seconds in self.first_tokens if now - at <= RECENT_S)
        first = f"{_quantile_ms(recent, 0.5)} / {_quantile_ms(recent, 0.99)} ms"
        return (
            f"{self.chats} chats, {self.bulk} bulk jobs, {self.failed} failed"
            f" | chat TTFT p50 / p99 {first} | {rate:,.0f} tokens/s{self._kept(recent)}"
        )

    def _kept(self, recent: list[float]) -> str:
        if self.promised_s is None:
            return ""
        kept = sum(seconds <= self.promised_s for seconds in recent)
        return f" | {kept} of {len(recent)} within {self.promised_s * 1e3:.0f} ms"


class Traffic:
    """The clients. `run` goes on until it is cancelled."""

    def __init__(self, base_url: str, model: str, promised_s: float | None = None, seed: int = 0) -> None:
        self.meter = TrafficMeter(promised_s=promised_s)
        self._url = f"{base_url}/chat/completions"
        self._model = model
        self._rng = Random(seed)  # noqa: S311 — reproducible, not secret
        self._open = 0

    async def run(self) -> None:
        """Chats come at random, bulk jobs one after another."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as tasks:
            for _ in range(BULK_JOBS):
                tasks.create_task(self._bulk_jobs(session))
            while True:
                if self._open < CHATS_OPEN_MAX:
                    tasks.create_task(self._conversation(session))
                await asyncio.sleep(self._rng.expovariate(CHATS_PER_S / CHAT_TURNS))

    async def _conversation(self, session: aiohttp.ClientSession) -> None:
        """A few turns, each with all that was said before."""
        self._open += 1
        try:
            messages = [{"role": "system", "content": self._say(60)}]
            for _ in range(CHAT_TURNS):
                messages.append({"role": "user", "content": self._say(self._rng.randrange(10, 60))})
                asked = time.monotonic()
                answer = await self._ask(session, messages, self._rng.randrange(20, 80), asked)
                if answer is None:
                    return
                self.meter.chats += 1
                messages.append({"role": "assistant", "content": answer})
                await asyncio.sleep(self._rng.uniform(0.3, 1.5))
        finally:
            self._open -= 1

    async def _bulk_jobs(self, session: aiohttp.ClientSession) -> None:
        while True:
            messages = [{"role": "user", "content": self._say(self._rng.randrange(1000, 3000))}]
            if await self._ask(session, messages, 250, None) is not None:
                self.meter.bulk += 1
            await asyncio.sleep(BULK_PAUSE_S)

    async def _ask(
        self, session: aiohttp.ClientSession, messages: list[dict[str, str]], max_tokens: int, asked: float | None
    ) -> str | None:
        """One stream; None when it failed. `asked`: when a chat was asked, to measure its first token."""
        body = {"model": self._model, "messages": messages, "max_tokens": max_tokens, "stream": True}
        headers = _BULK if asked is None else {}
        pieces: list[str] = []
        try:
            async with session.post(self._url, json=body, headers=headers) as response:
                response.raise_for_status()
                async for line in response.content:
                    self._take(line, pieces, asked)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            self.meter.failed += 1
            return None
        return "".join(pieces)

    def _take(self, line: bytes, pieces: list[str], asked: float | None) -> None:
        """One line of the stream. Raises ValueError for an error event."""
        if not line.startswith(b"data: {"):
            return
        event = json.loads(line[6:])
        if "error" in event:
            raise ValueError(event["error"])
        content = event["choices"][0]["delta"].get("content") if event.get("choices") else None
        if not content:
            return
        if asked is not None and not pieces:
            now = time.monotonic()
            self.meter.first_tokens.append((now, now - asked))
        self.meter.tokens += 1
        pieces.append(content)

    def _say(self, tokens: int) -> str:
        return "".join(sentence_tokens(self._rng, tokens))


def _quantile_ms(ordered: list[float], share: float) -> str:
    if not ordered:
        return "-"
    return f"{ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1e3:.0f}"
