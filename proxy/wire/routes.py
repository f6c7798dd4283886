"""Which routes exist on the data port: path → endpoint, methods, and what kind of body it takes.

Owns the spelling of paths (with and without `/v1`, trailing slash, percent-encoding). Decides nothing about models, nor
what a route is: `model.endpoint`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from proxy.model.endpoint import ANY, CHAT_PATH, GET, POST, ROUTES, Endpoint, Row, Served
from proxy.model.faults import FaultError, Kind, downstream


class Route(NamedTuple):
    """Where a request goes."""

    endpoint: Endpoint
    target: str
    """Path and query for the backend; under `/v1/`, but for the routes that engines have elsewhere."""
    methods: frozenset[str]
    json_only: bool
    """The body is JSON or nothing; other types are answered 415."""
    item: str = ""
    """The id in `/v1/models/{id}` and `/v1/tidegate/requests/{id}`; the name of what the proxy tells of itself."""
    plain: str = ""
    """The decoded path, where not every kind of engine has it; empty: all may be asked, or the operator says so."""


_BELOW: Final = tuple(row for row in ROUTES if row.path.endswith("/") and row.path != "/")


def _spelled() -> Iterator[tuple[str, Route]]:
    for path, endpoint, served, methods, json_only in ROUTES:
        if path.endswith("/") and path != "/":
            continue
        if served is Served.EVERYWHERE:
            found = Route(endpoint, path, methods, json_only)
            yield from ((spelling, found) for spelling in (path, path + "/", path.removeprefix("/v1"), "/v1" + path))
        elif served is Served.SOMEWHERE:
            yield path, Route(endpoint, path, methods, json_only, plain=path)
        else:
            yield path, Route(endpoint, path, methods, json_only, item=path.rpartition("/")[2])


_FAST: Final = {spelling.encode(): found for spelling, found in _spelled()}
"""Every spelling that needs no reading."""
_TWICE: Final = "/v1/v1/"
_SAFE_PATH: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]+\Z")


def route(raw_target: bytes, extra: Sequence[str] = ()) -> Route:
    """The Route of a request target, or FaultError (404 for an unknown path, 400 for a malformed one).

    `extra`: more paths to pass, whatever they are; one that ends in `*` is a prefix.
    """
    return _FAST.get(raw_target) or _route(raw_target, extra)


def _route(raw_target: bytes, extra: Sequence[str]) -> Route:
    asked, query = _split(raw_target)
    plain = _checked(asked)
    while asked.startswith(_TWICE):  # a base URL with `/v1`, and a client that adds its own
        asked, plain = asked.removeprefix("/v1"), plain.removeprefix("/v1")
    path, is_full = asked, asked.startswith("/v1/")
    known = _known(plain)
    if known is not None:
        return known._replace(target=known.target + query)
    if is_listed(plain, extra):
        return Route(Endpoint.OTHER, path + query, ANY, json_only=False)
    if not is_full:
        path, plain = "/v1" + path, "/v1" + plain
    for row in _BELOW:
        if row.endpoint is Endpoint.MODELS and plain in (row.path, row.path[:-1]):
            return Route(row.endpoint, row.path[:-1], row.methods, row.json_only)
        if plain.startswith(row.path):
            item = _model_name(plain) if row.endpoint is Endpoint.MODELS else ""
            if row.endpoint is Endpoint.CHAT:
                return _of_request(plain.removeprefix(row.path), row, asked)
            return Route(row.endpoint, path if item else path + query, row.methods, row.json_only, item)
    if not is_full or plain == "/v1/":
        raise unknown(asked)
    return Route(Endpoint.OTHER, path + query, ANY, json_only=False, plain=plain)


def _of_request(rest: str, row: Row, asked: str) -> Route:
    """Of one request by its id: where its time went, a report of that, or more of its answer."""
    name, _, what = rest.rpartition("/")
    if not rest or not rest.isprintable():
        raise unknown(asked)
    if name and what == "expand":  # a chat, which the proxy itself writes
        return Route(row.endpoint, CHAT_PATH, row.methods, row.json_only, name)
    if name and what == "stages":
        return Route(Endpoint.TIMINGS, "", POST, json_only=True, item=name)
    return Route(Endpoint.TIMINGS, "", GET, json_only=True, item=rest)


def _known(plain: str) -> Route | None:
    found = _FAST.get(plain.encode())
    return found if found is not None else _FAST.get(plain.rstrip("/").encode())


def is_listed(plain: str, patterns: Sequence[str]) -> bool:
    """Whether a decoded path is one of these, or begins as one that ends in `*` does."""
    return any(plain.startswith(one[:-1]) if one.endswith("*") else plain == one for one in patterns)


def _split(raw_target: bytes) -> tuple[str, str]:
    """(path, "?query" or ""); the authority of an absolute-form target is dropped: it never selects a destination."""
    try:
        text = raw_target.decode("ascii")
    except UnicodeDecodeError:
        raise _malformed() from None
    if not text.startswith("/") and "://" in text.split("?", 1)[0]:
        text = "/" + text.split("://", 1)[1].partition("/")[2]
    path, mark, query = text.partition("?")
    return path, mark + query


def _checked(path: str) -> str:
    """The path as engines read it, percent-encoding undone: that alone decides what is served here."""
    if not path.startswith("/") or not _SAFE_PATH.match(path):
        raise _malformed()
    plain = _decoded(path)
    if any(ord(character) < 0x20 or character in "\\\x7f" for character in plain):
        raise _malformed()
    if "//" in plain or any(segment in (".", "..") for segment in plain.split("/")):
        raise unknown(path)
    return plain


def _model_name(plain: str) -> str:
    name = plain.removeprefix("/v1/models/")
    if not name.isprintable():
        raise _malformed()
    return name


def _decoded(path: str) -> str:
    try:
        return unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed() from None


def _malformed() -> FaultError:
    return FaultError(downstream(Kind.MALFORMED, "The request path is malformed."))


def unknown(path: str) -> FaultError:
    """What is said of a path that nobody serves here."""
    return FaultError(
        downstream(
            Kind.UNKNOWN_ROUTE,
            f"Unknown request URL: {path[:64]}. The API lives under /v1, for example POST /v1/chat/completions.",
            code="unknown_url",
        )
    )
