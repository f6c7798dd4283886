"""A request as an engine can bear it: without hints that it refuses, and with an answer no longer than it may give.

Which fields bound an answer is known to `model.endpoint`. All else stays byte for byte.
"""

from collections.abc import Sequence

import orjson

from proxy.wire import splice

Places = Sequence[tuple[str, ...]]


def for_engine(body: bytes, strips: Sequence[str], asked: int | None, most: int | None, places: Places) -> bytes:
    """`asked`: tokens of the longest answer that the request allows; `most`: that the engine may be asked for;
    `places`: where the request says it, names, outermost first."""
    for name in strips:
        if name.encode() in body:
            body = splice.without_key(body, name)
    if most is None or asked is None or asked <= most:
        return body
    for place in places:
        body = _bounded(body, place, most)
    return body


def _bounded(body: bytes, place: tuple[str, ...], most: int) -> bytes:
    for start, end in splice.value_spans(body, place[0])[:1]:
        value = body[start:end]
        if len(place) > 1:
            body = body[:start] + _bounded(value, place[1:], most) + body[end:]
            continue
        number = orjson.loads(value)
        if isinstance(number, int) and not isinstance(number, bool) and number > most:
            body = splice.replace_value(body, place[0], most)
    return body


def whole(body: bytes) -> bytes:
    """A request that says that it wants no stream, where it left that out."""
    return body if splice.value_spans(body, "stream") else splice.with_last(body, "stream", False)
