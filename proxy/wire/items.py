"""Embeddings one by one: the inputs of a request, the vectors of an answer, and an answer made of vectors.

Owns OpenAI's shape of both. What an answer says of all its inputs together (tokens) is shared out by their length, so
that the parts of one answer add up to what its engine counted.
"""

import hashlib
from typing import Any, Final, NamedTuple

import orjson

from proxy.wire import splice
from proxy.wire.cache_key import canonical
from proxy.wire.deltas import Fields

_PATHS: Final = ("/v1/embeddings", "/embeddings")
MOST: Final = 4096
"""Inputs of a request that are looked for one by one."""


class Item(NamedTuple):
    """One vector, as it is kept."""

    body: bytes
    """A line that says what stands around all vectors of its answer, and the vector's own entry without its place."""
    tokens: int | None


def inputs(target: str, fields: Fields) -> list[Any] | None:
    """What a request wants embedded; None: not one by one."""
    told = fields.get("input")
    if target.partition("?")[0] not in _PATHS:
        return None
    if isinstance(told, str):
        return [told] if told else None
    if not isinstance(told, list) or not 0 < len(told) <= MOST:
        return None
    if all(isinstance(one, str) for one in told) or all(_is_tokens(one) for one in told):
        return told
    return [told] if _is_tokens(told) else None


def digest(of_rest: bytes, item: Any) -> bytes:
    """Of one input; `of_rest`: of all else that the request says."""
    return hashlib.sha256(of_rest + canonical(item)).digest()


def only(body: bytes, wanted: list[Any]) -> bytes:
    """The request for these inputs alone."""
    return splice.replace_value(body, "input", wanted)


def read(answer: bytes, asked: list[Any]) -> list[Item] | None:
    """The vectors of an answer, in the order of what was asked; None where it is not that."""
    try:
        fields = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    entries = fields.get("data") if isinstance(fields, dict) and not fields.get("error") else None
    if not isinstance(entries, list) or len(entries) != len(asked):
        return None
    by_place = {entry.get("index"): entry for entry in entries if isinstance(entry, dict) and entry.get("embedding")}
    if set(by_place) != set(range(len(asked))):
        return None
    around = orjson.dumps({name: value for name, value in fields.items() if name not in ("data", "usage", "id")})
    parts = _shared_out(_tokens(fields.get("usage")), [len(canonical(one)) for one in asked])
    return [Item(around + b"\n" + _entry(by_place[place]), parts[place]) for place in range(len(asked))]


def joined(items: list[Item]) -> bytes:
    """An answer of these vectors."""
    around = items[0].body.partition(b"\n")[0]
    entries = (item.body.partition(b"\n")[2] for item in items)
    data = b",".join(b'%b,"index":%d}' % (entry[:-1], place) for place, entry in enumerate(entries))
    counts = [item.tokens for item in items]
    total = sum(count for count in counts if count is not None)
    told = b',"usage":{"prompt_tokens":%d,"total_tokens":%d}' % (total, total) if None not in counts else b""
    comma = b"," if len(around) > len(b"{}") else b""
    return b"".join((around[:-1], comma, b'"data":[', data, b"]", told, b"}"))


def _entry(entry: Fields) -> bytes:
    return orjson.dumps({name: value for name, value in entry.items() if name != "index"})


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def _tokens(usage: Any) -> int | None:
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return count if type(count) is int and count >= 0 else None


def _shared_out(total: int | None, sizes: list[int]) -> list[int | None]:
    """Whole numbers in proportion to `sizes` that add up to `total`."""
    if total is None:
        return [None] * len(sizes)
    whole, seen, given = sum(sizes), 0, 0
    parts: list[int | None] = []
    for size in sizes:
        seen += size
        upto = total * seen // whole
        parts.append(upto - given)
        given = upto
    return parts
