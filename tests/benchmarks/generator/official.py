"""OpenAI's own client, watched from within: where its time goes between an application's call and the first text.

Three clocks of one request: before its bytes are sent (types, request, pool), on the wire (from the last byte sent to
the piece of the answer that holds the first text), and after (framing of HTTP and SSE, JSON, pydantic).
"""

import json
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any, NamedTuple

import httpx
from openai import AsyncOpenAI


class Took(NamedTuple):
    """Milliseconds."""

    ttft_ms: float
    """As an application sees it: from its call to the first text."""
    e2e_ms: float
    before_ms: float
    wire_ttft_ms: float
    after_ms: float
    wire_e2e_ms: float
    """From the last byte sent to the last byte that came."""


class _Pieces(httpx.AsyncByteStream):
    """An answer's bytes, with the moments of the first text and of the last piece."""

    def __init__(self, stream: Any, official: "Official") -> None:
        self._stream, self._official = stream, official

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._official.last = monotonic()
            if not self._official.first and b'"content":"' in piece.replace(b'"content":""', b""):
                self._official.first = self._official.last
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class Official:
    """One client, one request at a time."""

    def __init__(self, url: str) -> None:
        hooks: dict[str, list[Any]] = {"request": [self._on_request], "response": [self._on_response]}
        http = httpx.AsyncClient(event_hooks=hooks)
        self._client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=http)
        self.sent = self.first = self.last = 0.0
        """Moments of the request that is under way, monotonic seconds."""

    async def close(self) -> None:
        """Its connections."""
        await self._client.close()

    async def ask(self, body: bytes) -> Took:
        """A streamed chat."""
        fields, first = json.loads(body), 0.0
        self.sent = self.first = self.last = 0.0
        began = monotonic()
        async for event in await self._client.chat.completions.create(**fields):
            if not first and event.choices and event.choices[0].delta.content:
                first = monotonic()
        ended = monotonic()
        assert min(self.sent, self.first) > 0, "no text came"
        marks = (first - began, ended - began, self.sent - began, self.first - self.sent, first - self.first)
        return Took(*(mark * 1e3 for mark in (*marks, self.last - self.sent)))

    async def _on_request(self, request: httpx.Request) -> None:
        request.extensions = {**request.extensions, "trace": self._traced}

    async def _traced(self, event: str, _: object) -> None:
        if event == "http11.send_request_body.complete":
            self.sent = monotonic()

    async def _on_response(self, response: httpx.Response) -> None:
        response.stream = _Pieces(response.stream, self)
