"""A request as an engine can bear it: without hints that it refuses, and with an answer no longer than it may give.

Owns the names of the fields that bound an answer. All else stays byte for byte.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from proxy.wire import splice

_BOUNDS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def for_engine(body: bytes, strips: Sequence[str], asked: int | None, most: int | None) -> bytes:
    """`asked`: tokens of the longest answer that the request allows; `most`: that the engine may be asked for."""
    for name in strips:
        if name.encode() in body:
            body = splice.without_key(body, name)
    if most is None or asked is None or asked <= most:
        return body
    for name in _BOUNDS:
        for start, end in splice.value_spans(body, name)[:1]:
            value = orjson.loads(body[start:end])
            if isinstance(value, int) and not isinstance(value, bool) and value > most:
                body = splice.replace_value(body, name, most)
    return body


def whole(body: bytes) -> bytes:
    """A request that says that it wants no stream, where it left that out."""
    return body if splice.value_spans(body, "stream") else splice.with_last(body, "stream", False)
