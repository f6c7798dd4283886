"""What a simulated backend remembers of the requests it received, for tests to look at."""

import base64
from collections import deque
from dataclasses import dataclass

from aiohttp import web

REQUESTS_KEPT = 64
BYTES_KEPT = 64 << 20
"""Bodies of all kept requests together, bytes; the oldest are dropped first."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Recorder:
    """The last requests, and how those of the API ended."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.aborted = 0
        """The client left before the end of its answer."""
        self.finished = 0
        """Answered to the end, whatever the status."""
        self._kept: deque[Received] = deque()
        self._bytes = 0

    def reset(self) -> None:
        """Forget what ended; what runs goes on being counted."""
        self.aborted = self.finished = self._bytes = 0
        self._kept.clear()

    async def keep(self, request: web.Request) -> None:
        """Remember one request, body included."""
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
        body = await request.read()
        self._kept.append(Received(request.method, request.raw_path, headers, body))
        self._bytes += len(body)
        while len(self._kept) > REQUESTS_KEPT or self._bytes > BYTES_KEPT:
            self._bytes -= len(self._kept.popleft().body)

    def as_json(self) -> list[dict[str, object]]:
        """The oldest first."""
        return [
            {
                "method": one.method,
                "path": one.path,
                "headers": [list(pair) for pair in one.headers],
                "body": base64.b64encode(one.body).decode(),
            }
            for one in self._kept
        ]
