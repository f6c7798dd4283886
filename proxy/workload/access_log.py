"""Arrivals of the access log (JSON) that the proxy itself writes.

Owns what a line says of a request, and what stands in for what it does not: a request that was refused has no tokens,
and left out it would make forecasts of overload forecasts of less. Its prompt is taken from its size, its answer for as
long as the median one of its class. Where lines tell how prompts begin (`log.prefixes`), hits are found anew instead of
being taken as they were recorded.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median
from typing import Final

from proxy.obs.prefix_digests import BORDER_B, BORDERS, DIGEST_CHARS
from proxy.workload.arrival import HASH_TOKENS, Arrival
from proxy.workload.trace_fields import MAX_TOKENS, BrokenLine, count, number, object_of, seconds, text

_EMBEDDINGS: Final = "/embeddings"
"""Their answers have no tokens."""
_UNKNOWN: Final = 0
"""Tokens of a prompt."""
_KV_BLOCK: Final = 16
"""Tokens: an engine's prefix cache knows no smaller pieces."""


class AccessLogReader:
    """Of one log."""

    def __init__(self) -> None:
        self._tokens = 0
        self._bytes = 0
        """Of prompts whose tokens are known."""
        self._answers: dict[str | None, list[int]] = {}
        """Class → tokens."""
        self._has_prefixes = False

    def arrival(self, line: str) -> Arrival | None:
        """None: no request, or one of which nothing is known. Raises BrokenLine."""
        row = object_of(line)
        if "time" not in row or "dropped_log_lines" in row or "outcome" not in row:
            return None
        ended = seconds(row["time"]) if isinstance(row["time"], str) else number(row, "time")
        took_s = number(row, "e2e_ms") / 1e3 if row.get("e2e_ms") is not None else 0.0
        size = count(row, "request_bytes", 0) if row.get("request_bytes") is not None else 0
        prefix = prefix_of(text(row, "prefix", MAX_PREFIX))
        embeds = text(row, "path").endswith(_EMBEDDINGS)
        found = Arrival(
            at=ended - took_s,
            prompt_tokens=_UNKNOWN,
            output_tokens=0 if embeds else 1,
            prefix_hashes=prefix,
            model=text(row, "model_asked") or "sim",
            traffic_class=text(row, "class") or None,
            tenant=text(row, "tenant") or None,
            body_bytes=size,
            stream=not embeds and row.get("stream") is not False,
        )
        if row.get("prompt_tokens") is None or (row.get("completion_tokens") is None and not embeds):
            return found if row["outcome"] == "shed" and size else None
        found = replace(
            found,
            prompt_tokens=count(row, "prompt_tokens", 1),
            output_tokens=0 if embeds else max(1, count(row, "completion_tokens", 0)),
            cached_tokens=count(row, "cached_tokens", 0) if row.get("cached_tokens") is not None and not prefix else 0,
        )
        self._learn(found)
        return found

    def _learn(self, found: Arrival) -> None:
        self._has_prefixes |= bool(found.prefix_hashes)
        if found.output_tokens:
            self._answers.setdefault(found.traffic_class, []).append(found.output_tokens)
        if found.body_bytes:
            self._bytes += found.body_bytes
            self._tokens += found.prompt_tokens

    def completed(self, arrivals: Sequence[Arrival]) -> tuple[list[Arrival], tuple[str, ...], int]:
        """All of them, those that were refused as far as they can be told; what is not recorded; tokens per block."""
        refused = sum(one.prompt_tokens == _UNKNOWN for one in arrivals)
        missing = [] if self._has_prefixes else ["prefixes (log: {prefixes: true})"]
        if refused and self._bytes:
            missing.append(f"the tokens of {refused:,} refused requests, taken from their size and class")
        return list(self._told(arrivals)), tuple(missing), self._block_tokens()

    def _told(self, arrivals: Iterable[Arrival]) -> Iterable[Arrival]:
        answers = {name: round(median(found)) for name, found in self._answers.items()}
        usual = round(median([one for found in self._answers.values() for one in found])) if self._answers else 0
        for one in arrivals:
            if one.prompt_tokens != _UNKNOWN:
                yield one
            elif self._bytes:
                tokens = max(1, min(MAX_TOKENS, round(one.body_bytes * self._tokens / self._bytes)))
                output = answers.get(one.traffic_class, usual) if one.output_tokens else 0
                yield replace(one, prompt_tokens=tokens, output_tokens=output)

    def _block_tokens(self) -> int:
        """Blocks are pieces of so many bytes; how many tokens that is, is a matter of the language."""
        if not (self._has_prefixes and self._bytes):
            return HASH_TOKENS
        return max(1, round(BORDER_B * self._tokens / self._bytes / _KV_BLOCK)) * _KV_BLOCK


MAX_PREFIX: Final = DIGEST_CHARS * len(BORDERS)
"""Characters."""
_DIGESTS: Final = re.compile(rf"(?:[A-Za-z0-9_-]{{{DIGEST_CHARS}}})*\Z")


def prefix_of(digests: str) -> tuple[int, ...]:
    """A number for each block, chained: those between two borders are equal where the second one is. Raises
    BrokenLine."""
    if not _DIGESTS.match(digests):
        raise BrokenLine("prefix is not made of digests")
    chained, blocks, before = 0, [], 0
    for place in range(len(digests) // DIGEST_CHARS):
        digest = urlsafe_b64decode(digests[place * DIGEST_CHARS : (place + 1) * DIGEST_CHARS])
        chained = hash((chained, int.from_bytes(digest, "big")))
        blocks += [hash((chained, block)) for block in range(before, BORDERS[place])]
        before = BORDERS[place]
    return tuple(blocks)
