"""Several requests as one call to an engine: which may go together, and the body that they share.

Owns what of two requests must be equal for that, and for sharing one answer. How the answer is taken apart: `slicing`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.wire import splice

LARGEST_B: Final = 128 << 10
"""A larger body gains nothing by company, and its inputs would be kept while it waits."""
_DIGEST_B: Final = 16
_BEST: Final = "top_n"
"""How many entries of a ranking are asked for: cut here, since an engine would cut those of all callers together."""
_OF_ONE: Final = frozenset({"prompt_embeds", "kv_transfer_params", "session_id", "session_params", "rid", "request_id"})
"""Fields of a request that cannot stand for several."""
_PRIVATE: Final = frozenset(
    {
        b"accept",
        b"accept-language",
        b"authorization",
        b"baggage",
        b"content-type",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"via",
        b"x-api-key",
        b"x-client-request-id",
        b"x-correlation-id",
    }
)
"""Headers that say who asks and in which context, not what: those of the first caller are sent. Keys are told apart
by `Who`."""
_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key"})
_SORTED: Final = orjson.OPT_SORT_KEYS

Headers = Sequence[tuple[bytes, bytes]]


class Part(NamedTuple):
    """What one request adds to a call."""

    inputs: list[Any]
    """Texts, lists of token ids, documents, or of scores pairs of texts."""
    kind: str
    """Of its inputs: an array holds one kind."""
    choices: int = 1
    """Entries of the answer per input."""
    best: int = 0
    """Of a ranking only so many entries are wanted; 0: all."""


class Who(NamedTuple):
    """From whom requests must be to go together."""

    tenant: str = ""
    """Empty: they may be from any tenant."""
    keys: bool = True
    """Engines see the clients' own keys, so that these must be the same."""


def part(endpoint: Endpoint, fields: Mapping[str, Any]) -> Part | None:
    """What a request asks an engine to compute, where that can stand in an array with others'; else None."""
    names = ENDPOINTS[endpoint].inputs
    if not names or not _OF_ONE.isdisjoint(fields) or fields.get("stream"):
        return None
    if endpoint is Endpoint.SCORE:
        return _pairs(fields.get(names[0]), fields.get(names[1]))
    if endpoint is Endpoint.RERANK:
        return _documents(fields)
    found = _inputs(fields.get(names[0]))
    if found is None or endpoint is not Endpoint.COMPLETIONS:
        return found
    n = fields.get("n")
    is_plain = n is None or (type(n) is int and n > 0)
    return found._replace(choices=n or 1) if is_plain and not _is_seeded(fields) else None


def key(endpoint: Endpoint, target: str, fields: Mapping[str, Any], of: Part, headers: Headers, who: Who) -> bytes:
    """Requests with equal keys may go together: all but their inputs is the same, as far as an engine can see it."""
    own = ENDPOINTS[endpoint].inputs
    rest = {name: value for name, value in fields.items() if name not in own and name != _BEST}
    return _digest([target, of.kind, who.tenant, rest], headers, who)


def same(target: str, fields: Mapping[str, Any], shown: str, headers: Headers, who: Who) -> bytes:
    """Requests with equal ones are the same request. `shown`: how their answers are shown, such as a class's name."""
    return _digest([target, shown, who.tenant, fields], headers, who)


def is_deterministic(endpoint: Endpoint, fields: Mapping[str, Any]) -> bool:
    """Whether the same request gets the same answer: nothing is drawn, and nothing is left behind."""
    facts = ENDPOINTS[endpoint]
    if not facts.repeatable or not facts.works:
        return False
    if not facts.generates:
        return bool(facts.inputs) and _OF_ONE.isdisjoint(fields)
    temperature = fields.get("temperature")
    is_greedy = type(temperature) in (int, float) and temperature == 0
    return is_greedy and fields.get("n") in (None, 1) and not fields.get("store") and _OF_ONE.isdisjoint(fields)


def merged(endpoint: Endpoint, body: bytes, parts: Sequence[Part]) -> bytes:
    """The first request's `body` with the inputs of all `parts`, in their order."""
    inputs = [entry for one in parts for entry in one.inputs]
    names = ENDPOINTS[endpoint].inputs
    if endpoint is Endpoint.SCORE:
        body = splice.replace_value(body, names[0], [left for left, _ in inputs])
        return splice.replace_value(body, names[1], [right for _, right in inputs])
    body = splice.replace_value(body, names[0], inputs)
    return splice.without_key(body, _BEST) if endpoint is Endpoint.RERANK else body


def _digest(what: list[Any], headers: Headers, who: Who) -> bytes:
    digest = hashlib.blake2b(orjson.dumps(what, option=_SORTED), digest_size=_DIGEST_B)
    for name, value in headers:
        lower = name.lower()
        if (who.keys and lower in _CREDENTIALS) or not (lower in _PRIVATE or lower.startswith(b"x-stainless-")):
            digest.update(b"\n%b:%b" % (lower, value))
    return digest.digest()


def _inputs(value: Any) -> Part | None:
    if isinstance(value, str):
        return Part([value], "text")
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(entry, str) for entry in value):
        return Part(value, "text")
    if _are_ids(value):
        return Part([value], "ids")
    return Part(value, "ids") if all(isinstance(entry, list) and _are_ids(entry) for entry in value) else None


def _are_ids(value: list[Any]) -> bool:
    return bool(value) and all(type(entry) is int for entry in value)


def _documents(fields: Mapping[str, Any]) -> Part | None:
    documents, best = fields.get("documents"), fields.get(_BEST)
    if not isinstance(documents, list) or not documents or (best is not None and not _is_count(best)):
        return None
    if all(isinstance(entry, str) for entry in documents):
        return Part(documents, "text", best=best or 0)
    is_text = all(isinstance(entry, dict) and isinstance(entry.get("text"), str) for entry in documents)
    return Part(documents, "object", best=best or 0) if is_text else None


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _pairs(left: Any, right: Any) -> Part | None:
    """One text against each, or pair by pair."""
    lefts, rights = _inputs(left), _inputs(right)
    if lefts is None or rights is None or lefts.kind != "text" or rights.kind != "text":
        return None
    those = lefts.inputs * len(rights.inputs) if len(lefts.inputs) == 1 else lefts.inputs
    return Part(list(zip(those, rights.inputs, strict=True)), "pair") if len(those) == len(rights.inputs) else None


def _is_seeded(fields: Mapping[str, Any]) -> bool:
    """Whether what is drawn depends on the place in an array."""
    return fields.get("seed") is not None and fields.get("temperature") != 0
