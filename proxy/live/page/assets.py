"""The page as one answer: its files put together, compressed, and what a browser is told about it.

Owns the Content-Security-Policy: nothing but what is in the page itself runs, and it talks to nobody but its own
origin. Made when somebody first asks for it.
"""

import base64
import gzip
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

_FOLDER: Final = Path(__file__).parent / "static"
EARLY: Final = ("early.js",)
"""Runs before the rest has come."""
STYLES: Final = ("uPlot.min.css", "page.css")
LIBRARY: Final = "uPlot.iife.min.js"
"""Runs when the first chart is drawn: until then there is more to do."""
SCRIPTS: Final = (
    "format.js",
    "charts.js",
    "feed.js",
    "views.js",
    "decisions.js",
    "playground.js",
    "page.js",
)


class Page(NamedTuple):
    """The same bytes twice, and the head they travel with."""

    plain: bytes
    packed: bytes
    """By gzip."""
    headers: tuple[tuple[bytes, bytes], ...]
    etag: bytes


@lru_cache(maxsize=1)
def page() -> Page:
    """The page of this version."""
    parts = {b"/*EARLY*/": _joined(EARLY), b"/*STYLE*/": _joined(STYLES), b"/*SCRIPT*/": _library() + _joined(SCRIPTS)}
    plain = (_FOLDER / "index.html").read_bytes()
    for place, text in parts.items():
        plain = plain.replace(place, text)
    etag = b'"%b"' % sha256(plain).hexdigest()[:24].encode()
    headers = (
        (b"content-security-policy", _policy(*parts.values())),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cache-control", b"no-cache"),
        (b"vary", b"accept-encoding"),
        (b"etag", etag),
    )
    return Page(plain, gzip.compress(plain, 9, mtime=0), headers, etag)


def _joined(names: tuple[str, ...]) -> bytes:
    return b"\n".join((_FOLDER / name).read_bytes() for name in names)


def _library() -> bytes:
    return b"function loadPlotLibrary() {\n%b\nreturn uPlot;\n}\n" % (_FOLDER / LIBRARY).read_bytes()


def _policy(early: bytes, style: bytes, script: bytes) -> bytes:
    rules = (
        b"default-src 'none'",
        b"script-src " + _hash(early) + b" " + _hash(script),
        b"style-src " + _hash(style),
        b"img-src data:",
        b"connect-src 'self'",
        b"base-uri 'none'",
        b"form-action 'none'",
        b"frame-ancestors 'none'",
    )
    return b"; ".join(rules)


def _hash(text: bytes) -> bytes:
    return b"'sha256-%b'" % base64.b64encode(sha256(text).digest())
