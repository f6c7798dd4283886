"""What a kept answer is found by: a digest of all of a request that can change its answer.

Owns what is left out: how an answer is delivered (`stream`, `stream_options.include_usage`, where the two forms of an
answer are made of each other), the order of keys, white space, and headers that say who asks or by which way.
Everything else counts, unknown fields too. A body that says something twice means one thing to us and perhaps another
to an engine: it has no key.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from proxy.model.endpoint import Endpoint
from proxy.model.request import Request
from proxy.wire.cacheable import TWO_FORMS
from proxy.wire.deltas import Fields, dump
from proxy.wire.weight import without_escapes

_BIG_INTEGER: Final = re.compile(rb"[0-9]{19}")
_DELIVERY: Final = frozenset({"stream", "stream_options", "model"})
_NAME: Final = frozenset({"model"})
_NEUTRAL: Final = frozenset(
    {
        b"accept",
        b"authorization",
        b"baggage",
        b"cache-control",
        b"content-type",
        b"endpoint-load-metrics-format",
        b"idempotency-key",
        b"session-id",
        b"thread-id",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"via",
        b"x-api-key",
        b"x-claude-code-agent-id",
        b"x-claude-code-session-id",
        b"x-client-request-id",
        b"x-correlation-id",
        b"x-dynamo-session-id",
        b"x-session-affinity",
        b"x-session-id",
    }
)
"""Headers that reach engines and change no answer; whatever else an operator lets pass may."""
_NEUTRAL_PREFIX: Final = b"x-stainless-"
Headers = Sequence[tuple[bytes, bytes]]


def digest(request: Request, model: str, fields: Fields, body: bytes, headers: Headers, but: str = "") -> bytes | None:
    """32 bytes. `model`: what serves it; `fields`: its whole body, parsed; `headers`: those that reach an engine;
    `but`: a field that is left out. None: it says something twice."""
    if is_ambiguous(body, fields):
        return None
    said = hashlib.sha256()
    for part in (request.method.encode(), request.target.encode(), model.encode("utf-8", "surrogatepass")):
        said.update(b"%d:%b" % (len(part), part))
    for name, value in sorted((name.lower(), value) for name, value in headers):
        if name not in _NEUTRAL and not name.startswith(_NEUTRAL_PREFIX):
            said.update(b"%d:%b%d:%b" % (len(name), name, len(value), value))
    said.update(canonical(_meant(exactly(body, fields), request.endpoint, but)))
    return said.digest()


def key(digest_: bytes, scope: bytes, stamp: bytes) -> bytes:
    """32 bytes: of a request by those who share a scope, under all versions that it depends on."""
    return hashlib.blake2b(b"%d:%b%b" % (len(scope), scope, stamp), digest_size=32, key=digest_).digest()


def canonical(value: Any) -> bytes:
    """The same bytes for the same JSON, however it was written."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def exactly(body: bytes, fields: Fields) -> Fields:
    """`fields`, with integers beyond 64 bits unharmed: two large seeds are not one."""
    if not _BIG_INTEGER.search(body):
        return fields
    exact: Fields = json.loads(body)
    return exact


def is_ambiguous(body: bytes, fields: Fields) -> bool:
    """Whether an object in it has two values of one name."""
    return _names(body) != _names(dump(fields))


def _names(text: bytes) -> int:
    """How many names are in some JSON: outside of strings each has one colon."""
    return b"".join(without_escapes(text).split(b'"')[::2]).count(b":")


def _meant(fields: Fields, endpoint: Endpoint, but: str) -> Fields:
    delivery = _DELIVERY if endpoint in TWO_FORMS else _NAME
    meant = {name: value for name, value in fields.items() if name not in delivery and name != but}
    if delivery is _NAME:
        return meant
    options = fields.get("stream_options")
    if isinstance(options, dict):
        options = {name: value for name, value in options.items() if name != "include_usage"}
    if options:
        meant["stream_options"] = options
        meant["stream"] = fields.get("stream")
    return meant
