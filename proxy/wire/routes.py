"""Which routes exist on the data port: path → endpoint, methods, and what kind of body it takes.

Owns the spelling of paths (with and without `/v1`, trailing slash, percent-encoding). Decides nothing about models, nor
which engines have a route: `engines.routes`.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from proxy.model.faults import FaultError, Kind, downstream
from proxy.model.request import Endpoint


class Route(NamedTuple):
    """Where a request goes."""

    endpoint: Endpoint
    target: str
    """Path and query for the backend; under `/v1/`, but for the routes that engines have elsewhere."""
    methods: frozenset[str]
    json_only: bool
    """The body is JSON or nothing; other types are answered 415."""
    item: str = ""
    """The id in `/v1/models/{id}`; the name of what the proxy tells of itself."""
    plain: str = ""
    """The decoded path, where not every kind of engine has it; empty: all may be asked."""


_POST = frozenset({"POST"})
_GET = frozenset({"GET", "HEAD"})
_ANY = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_JSON_ROUTES = {
    "/v1/chat/completions": Endpoint.CHAT,
    "/v1/completions": Endpoint.COMPLETIONS,
    "/v1/embeddings": Endpoint.EMBEDDINGS,
    "/v1/responses": Endpoint.RESPONSES,
    "/v1/messages": Endpoint.MESSAGES,
    "/v1/messages/count_tokens": Endpoint.TOKENS,
    "/v1/moderations": Endpoint.MODERATIONS,
}
"""Every kind of engine may be asked for these. They are also known without `/v1`, for careless base URLs."""
_ENGINES_ROUTES = {
    "/v1/rerank": Endpoint.RERANK,
    "/v1/reranking": Endpoint.RERANK,
    "/v2/rerank": Endpoint.RERANK,
    "/rerank": Endpoint.RERANK,
    "/reranking": Endpoint.RERANK,
    "/v1/score": Endpoint.SCORE,
    "/score": Endpoint.SCORE,
    "/v1/classify": Endpoint.POOLING,
    "/classify": Endpoint.POOLING,
    "/pooling": Endpoint.POOLING,
    "/encode": Endpoint.POOLING,
    "/predict": Endpoint.POOLING,
    "/similarity": Endpoint.POOLING,
    "/embed": Endpoint.EMBEDDINGS,
    "/embed_all": Endpoint.EMBEDDINGS,
    "/embed_sparse": Endpoint.EMBEDDINGS,
    "/embedding": Endpoint.EMBEDDINGS,
    "/v1/tokenize": Endpoint.TOKENS,
    "/v1/detokenize": Endpoint.TOKENS,
    "/tokenize": Endpoint.TOKENS,
    "/detokenize": Endpoint.TOKENS,
    "/chat_tokenize": Endpoint.TOKENS,
    "/apply-template": Endpoint.TOKENS,
    "/completion": Endpoint.OTHER,
    "/infill": Endpoint.OTHER,
    "/generate": Endpoint.OTHER,
    "/generate_stream": Endpoint.OTHER,
    "/invocations": Endpoint.OTHER,
    "/cohere/v2/chat": Endpoint.OTHER,
    "/inference/v1/generate": Endpoint.OTHER,
}
"""Served by some kinds of engines, at exactly these paths."""
_OWN = ("/health", "/v1/health", "/ping", "/version")
"""What the proxy tells of itself."""
_PREFIXES = {"/v1/audio/": Endpoint.AUDIO, "/v1/images/": Endpoint.IMAGES}
_FAST = {
    spelling.encode(): Route(endpoint, path, _POST, json_only=True)
    for path, endpoint in _JSON_ROUTES.items()
    for spelling in (path, path + "/", path.removeprefix("/v1"))
}
_FAST |= {
    path.encode(): Route(endpoint, path, _POST, json_only=True, plain=path)
    for path, endpoint in _ENGINES_ROUTES.items()
}
_FAST |= {
    path.encode(): Route(Endpoint.HEALTH, path, _GET, json_only=True, item=path.rpartition("/")[2]) for path in _OWN
}
_SAFE_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]+\Z")


def route(raw_target: bytes, extra: Sequence[str] = ()) -> Route:
    """The Route of a request target, or FaultError (404 for an unknown path, 400 for a malformed one).

    `extra`: more paths to pass, whatever they are; one that ends in `*` is a prefix.
    """
    return _FAST.get(raw_target) or _route(raw_target, extra)


def _route(raw_target: bytes, extra: Sequence[str]) -> Route:
    asked, query = _split(raw_target)
    plain = _checked(asked)
    path, is_full = asked, asked.startswith("/v1/")
    known = _known(plain)
    if known is not None:
        return known._replace(target=known.target + query)
    if any(_matches(plain, pattern) for pattern in extra):
        return Route(Endpoint.OTHER, path + query, _ANY, json_only=False)
    if not is_full:
        path, plain = "/v1" + path, "/v1" + plain
    if plain in ("/v1/models", "/v1/models/"):
        return Route(Endpoint.MODELS, "/v1/models", _GET, json_only=True)
    if plain.startswith("/v1/models/"):
        return Route(Endpoint.MODELS, path, _GET, json_only=True, item=_model_name(plain))
    for prefix, endpoint in _PREFIXES.items():
        if plain.startswith(prefix):
            return Route(endpoint, path + query, _ANY, json_only=False)
    if not is_full or plain == "/v1/":
        raise unknown(asked)
    return Route(Endpoint.OTHER, path + query, _ANY, json_only=False, plain=plain)


def _known(plain: str) -> Route | None:
    found = _FAST.get(plain.encode())
    return found if found is not None else _FAST.get(plain.rstrip("/").encode())


def _matches(plain: str, pattern: str) -> bool:
    return plain.startswith(pattern[:-1]) if pattern.endswith("*") else plain == pattern


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
