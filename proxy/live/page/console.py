"""What the admin port has for people, by path: the page, the status, its events, decisions, the playground.

Owns the paths. What a status holds is `obs`'s business, who watches the feed's.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import orjson

from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.message import Message
from proxy.live.page import playground as play
from proxy.live.page.assets import page
from proxy.live.page.feed import LAST, Feed, Shown
from proxy.live.page.playground import Playground
from proxy.wire.headers import Head

_READS: Final = ("GET", "HEAD")
_METHODS: Final = {
    "/": _READS,
    "/status": _READS,
    "/events": ("GET",),
    "/decisions": _READS,
    "/backends": _READS,
}
PATHS: Final = tuple(_METHODS)
_MOST_DECISIONS: Final = 200
_HTML: Final = b"text/html; charset=utf-8"
_JSON: Final = b"application/json"
_FRESH: Final = ((b"cache-control", b"no-store"),)


class Answer(NamedTuple):
    """A whole one."""

    status: int
    content_type: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    is_large: bool = False
    """Few of them may wait for slow readers."""


Flow = Callable[[ClientConnection], Coroutine[Any, Any, None]]
"""Answers by itself, and ends its request."""
FindDecision = Callable[[int, str], dict[str, Any] | None]
"""By its number, or by the id of its request; None: it is not kept."""


class Console:
    """One per proxy. `playground`: None: no request may be sent from here."""

    def __init__(
        self, shown: Shown, feed: Feed, find_decision: FindDecision, playground: Playground | None = None
    ) -> None:
        self._shown = shown
        self._feed = feed
        self._find_decision = find_decision
        self._playground = playground

    def methods(self, path: str) -> tuple[str, ...] | None:
        """What may be asked of a path; None: it is none of ours."""
        if path.startswith(play.PREFIX):
            return play.methods(path)
        return _METHODS.get(path)

    def answer(self, path: str, query: str, head: Head, message: Message) -> Answer | Flow:
        """To a request for one of our paths, by a method that it knows."""
        if path == "/":
            return _page(head)
        if path == "/status":
            status = {**self._shown.now(), **self._shown.decisions(0, LAST)}
            return Answer(200, _JSON, orjson.dumps(status), _FRESH)
        if path == "/backends":
            return Answer(200, _JSON, orjson.dumps({"backends": self._shown.backends()}), _FRESH)
        if path == "/events":
            return self._events()
        if path == "/decisions":
            return self._decisions(parse_qs(query))
        return self._play(message)

    def _events(self) -> Answer | Flow:
        if not self._feed.is_full:
            return self._feed.watch
        told = {"error": f"{self._feed.viewers} viewers are watching, which is the most; close a page, or ask /status."}
        return Answer(503, _JSON, orjson.dumps(told), ((b"retry-after", b"30"), *_FRESH))

    def _decisions(self, query: dict[str, list[str]]) -> Answer:
        seq, request_id = query.get("seq", [""])[0], query.get("id", [""])[0]
        if not seq and not request_id:
            return Answer(200, _JSON, orjson.dumps(self._shown.decisions(0, _MOST_DECISIONS)), _FRESH)
        found = self._find_decision(int(seq) if seq.isascii() and seq.isdigit() else 0, request_id)
        if found is None:
            told = {"error": "This decision is not kept: the last 200 are, and the last 100 notable ones."}
            return Answer(404, _JSON, orjson.dumps(told), _FRESH)
        return Answer(200, _JSON, orjson.dumps(found), _FRESH)

    def _play(self, message: Message) -> Answer | Flow:
        playground = self._playground
        if playground is None or not playground.is_on():
            text = "The playground is off: the admin port is not on loopback alone. console.playground: true allows it."
            return Answer(403, _JSON, orjson.dumps({"error": {"message": text, "code": "playground_off"}}), _FRESH)

        async def flow(connection: ClientConnection) -> None:
            await playground.answer(connection, message)

        return flow


def _page(head: Head) -> Answer:
    made = page()
    if made.etag in head.fields.get(b"if-none-match", b""):
        return Answer(304, _HTML, b"", made.headers)
    if b"gzip" in head.fields.get(b"accept-encoding", b"").lower():
        return Answer(200, _HTML, made.packed, (*made.headers, (b"content-encoding", b"gzip")))
    return Answer(200, _HTML, made.plain, made.headers)
