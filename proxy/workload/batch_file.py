"""A batch's input file (JSONL of requests, as `/v1/batches` takes it) as arrivals: all at once, as bulk.

Owns what is made up for lack of a record: how long answers are. In the order in which the proxy would send them: those
that begin alike stand together.
"""

from hashlib import blake2b
from typing import Any, Final

from proxy.wire.prompt import canonical, estimated_tokens
from proxy.workload.arrival import HASH_TOKENS, Arrival
from proxy.workload.trace_fields import BrokenLine, in_range, object_of, text

MISSING: Final = ("lengths of answers: as long as asked for at most, else 256 tokens", "tenants", "when requests came")
_USUAL_TOKENS: Final = 256
_PIECE_B: Final = 4 * HASH_TOKENS
_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def is_line(row: dict[str, Any]) -> bool:
    """Whether an object is a line of a batch."""
    return "custom_id" in row and isinstance(row.get("body"), dict)


def arrival(line: str) -> Arrival:
    """Of one line. Raises BrokenLine."""
    row = object_of(line)
    body = row.get("body")
    if not isinstance(body, dict):
        raise BrokenLine("body is not an object")
    data = canonical(body)
    asked = next((body[name] for name in _LIMITS if type(body.get(name)) is int), None)
    embeds = "embeddings" in text(row, "url")
    return Arrival(
        at=0.0,
        prompt_tokens=in_range("the prompt", estimated_tokens(len(data)) or 1, 1),
        output_tokens=1 if embeds else in_range("max_tokens", _USUAL_TOKENS if asked is None else max(1, asked), 1),
        prefix_hashes=_hashes(data),
        model=text(body, "model") or "sim",
        traffic_class="bulk",
        max_tokens=asked,
        body_bytes=len(data),
        stream=False,
    )


def order(one: Arrival) -> tuple[int, ...]:
    """By which those that begin alike stand together."""
    return one.prefix_hashes


def _hashes(data: bytes) -> tuple[int, ...]:
    chained = blake2b(digest_size=6)
    found: list[int] = []
    for end in range(_PIECE_B, len(data) + 1, _PIECE_B):
        chained.update(data[end - _PIECE_B : end])
        found.append(int.from_bytes(chained.digest(), "little"))
    return tuple(found)
