"""How answers leave a simulated backend: whole or as a stream, with the faults that the request asked for.

Owns the moments at which an answer goes wrong. The bytes come from `bad_sse` and the handlers.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Mapping
from typing import NoReturn

from aiohttp import web

from proxy.sim.http.bad_sse import DONE, HTML, error_event, spell
from proxy.sim.http.faults import BadSse, Faults

SETTLE_S = 0.02
"""Before a reset: so that the client has read what it was sent and meets the reset, not lost data."""

BASE_HEADERS = {"server": "uvicorn", "vary": "Origin"}


class StreamOver(Exception):  # noqa: N818 — a regular way to end, not an error
    """The stream was ended early, cleanly; nothing more is to be sent."""

    def __init__(self, response: web.StreamResponse) -> None:
        super().__init__()
        self.response = response


class Wire:
    """The way back of one request."""

    def __init__(self, request: web.Request, faults: Faults, request_id: str) -> None:
        self._request = request
        self._faults = faults
        self.request_id = request_id
        """In every id of the answer."""
        self._headers = {**BASE_HEADERS, "x-request-id": request_id}
        self._response: web.StreamResponse | None = None
        self._events = 0

    async def before_head(self) -> None:
        """The faults that come before anything is sent."""
        if self._faults.delay_ms:
            await asyncio.sleep(self._faults.delay_ms / 1e3)
        await self._break_at(0)

    async def whole(self, status: int, body: bytes, more: Mapping[str, str] | None = None) -> web.StreamResponse:
        """An answer with a length."""
        response = web.StreamResponse(status=status, headers={**self._headers, **(more or {})})
        response.content_type = "application/json" if body else "application/octet-stream"
        response.content_length = len(body)
        await response.prepare(self._request)
        self._response = response
        half = len(body) // 2 if self._breaks_later() else len(body)
        await self._write(body[:half])
        if half < len(body):
            await self._break_at(None)
        await self._write(body[half:])
        await response.write_eof()
        return response

    async def page(self) -> web.StreamResponse:
        """A web page where a stream was asked for."""
        return await self.whole(200, HTML, {"content-type": "text/html"})

    async def start_stream(self) -> None:
        """The head of a stream."""
        response = web.StreamResponse(headers=self._headers)
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        response.enable_chunked_encoding()
        await response.prepare(self._request)
        self._response = response

    async def event(self, data: bytes, name: str | None = None) -> None:
        """One event, unless the time has come to fail. Raises StreamOver."""
        if self._events:
            await self._break_at(self._events)
        if self._events == self._faults.error_event_after:
            await self._write(b"data: " + error_event() + b"\n\ndata: [DONE]\n\n")
            raise StreamOver(await self._end())
        for piece in spell(data, name, self._faults.bad_sse, self._events):
            await self._write(piece)
            if self._faults.bad_sse is BadSse.SPLIT_UTF8:
                await asyncio.sleep(0)
        self._events += 1

    async def end_stream(self, done: bytes | None = DONE) -> web.StreamResponse:
        """`[DONE]`, unless the dialect has none, and the end of the body."""
        assert self._response is not None, "the stream has not begun"
        if done is not None:
            await self.event(done)
        await self._break_at(self._events)
        if self._faults.linger_after_done:
            await self._until_the_client_leaves()
        return await self._end()

    async def _end(self) -> web.StreamResponse:
        assert self._response is not None
        await self._response.write_eof()
        return self._response

    async def _write(self, data: bytes) -> None:
        assert self._response is not None
        size = self._faults.bytes_per_write
        if size is None:
            await self._response.write(data)
            return
        for start in range(0, len(data), size):
            await self._response.write(data[start : start + size])
            await asyncio.sleep(0)

    def _breaks_later(self) -> bool:
        faults = self._faults
        return any((faults.stall_after, faults.reset_after, faults.cut_after))

    async def _break_at(self, events: int | None) -> None:
        """Fail if that is asked for after so many events; None: at whatever time was asked for."""
        faults = self._faults
        if faults.stall_after is not None and events in {faults.stall_after, None}:
            await self._until_the_client_leaves()
        if faults.reset_after is not None and events in {faults.reset_after, None}:
            await self._reset()
        if faults.cut_after is not None and events in {faults.cut_after, None}:
            await self._cut()

    async def _until_the_client_leaves(self) -> NoReturn:
        """The server cancels the handler when the connection is lost."""
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def _flushed(self) -> asyncio.Transport:
        transport = self._request.transport
        if transport is None:
            await self._until_the_client_leaves()
        while transport.get_write_buffer_size() and not transport.is_closing():  # noqa: ASYNC110 — nobody tells us
            await asyncio.sleep(0.001)
        return transport

    async def _reset(self) -> NoReturn:
        transport = await self._flushed()
        if self._events:
            await asyncio.sleep(SETTLE_S)
        with contextlib.suppress(OSError):
            _close_by_reset(transport)
        transport.abort()
        await self._until_the_client_leaves()

    async def _cut(self) -> NoReturn:
        transport = await self._flushed()
        transport.close()
        await self._until_the_client_leaves()


def _close_by_reset(transport: asyncio.Transport) -> None:
    """Make the coming close a TCP reset. A duplicate is used because uvloop's own socket object takes no options."""
    inner = transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(inner.fileno())) as twin:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
