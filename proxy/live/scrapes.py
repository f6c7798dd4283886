"""What a scrape of the metrics gets: their text, made in slices, so that no stream waits for it.

Owns the forms that are offered (text or OpenMetrics, as it is or in gzip) and who gets which: those who ask for the
same while it is made share it. Other requests come between two slices, so that the families of one scrape are some
milliseconds apart.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from proxy.model.timeline import Clock
from proxy.obs.exposition import OPEN_METRICS, TEXT
from proxy.wire import codings

_SLICE_S: Final = 0.001
"""Others have to wait no longer than this and one piece."""
_INLINE_B: Final = 64 << 10
"""What is larger is packed by a thread: a millisecond and more."""
_LEVEL: Final = 1
"""Of gzip: a twentieth of the text, in a quarter of the time of the usual one."""
_OPEN_NAME: Final = "application/openmetrics-text"
_ANY: Final = ("text/plain", "text/*", "*/*")

Pieces = Callable[[bool], Iterator[str]]
"""Whether as OpenMetrics → the text, piece by piece."""


class Form(NamedTuple):
    """How the metrics are written."""

    is_open: bool
    is_packed: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of an answer in it."""
        kind = (b"content-type", OPEN_METRICS if self.is_open else TEXT)
        return [kind, (b"vary", b"accept, accept-encoding"), *([(b"content-encoding", b"gzip")] * self.is_packed)]


def form_for(accept: bytes, accept_encoding: bytes) -> Form:
    """What the headers of a request ask for; OpenMetrics only where it is named, and not liked less than text."""
    liked = _qualities(accept.decode("latin-1"))
    is_open = liked.get(_OPEN_NAME, 0.0) > 0 and liked[_OPEN_NAME] >= max(liked.get(name, 0.0) for name in _ANY)
    return Form(is_open, codings.accepts(accept_encoding, b"gzip"))


class Scrapes:
    """One per proxy."""

    def __init__(self, pieces: Pieces, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._pieces = pieces
        self._loop = loop
        self._clock = clock
        self._under_way: dict[Form, asyncio.Task[bytes]] = {}

    async def body(self, form: Form) -> bytes:
        """All metrics of now, or of a moment ago, when others asked."""
        task = self._under_way.get(form)
        if task is None:
            task = self._under_way[form] = self._loop.create_task(self._made(form))
        return await asyncio.shield(task)

    async def _made(self, form: Form) -> bytes:
        try:
            if not form.is_packed:
                return await self._text(form.is_open)
            text = await self.body(form._replace(is_packed=False))
            if len(text) < _INLINE_B:
                return _packed(text)
            return await self._loop.run_in_executor(None, _packed, text)
        finally:
            del self._under_way[form]

    async def _text(self, is_open: bool) -> bytes:
        parts, until = [], self._clock() + _SLICE_S
        for piece in self._pieces(is_open):
            parts.append(piece.encode())
            if self._clock() >= until:
                await asyncio.sleep(0)
                until = self._clock() + _SLICE_S
        return b"".join(parts)


def _packed(text: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, wbits=31)
    return packer.compress(text) + packer.flush()


def _qualities(accept: str) -> dict[str, float]:
    """How much each type is liked; a version of OpenMetrics that is not ours is another type."""
    found: dict[str, float] = {}
    for entry in accept.lower().split(",")[:64]:
        kind, *parameters = (part.strip() for part in entry.split(";"))
        said = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        if kind == _OPEN_NAME and said.get("version", "1.0.0").strip('"') not in ("0.0.1", "1.0.0"):
            continue
        found[kind] = max(found.get(kind, 0.0), _quality(said.get("q", "1")))
    return found


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 1.0 else 0.0
