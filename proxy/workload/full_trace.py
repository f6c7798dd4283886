"""Our own trace format: everything that a request is known by, one JSON object a line, after a header.

    {"tidegate_trace": 1, "block_tokens": 64, "classes": ["interactive", "bulk"], "tenants": ["a", "b"]}
    {"at": 0.0, "prompt_tokens": 1200, "output_tokens": 80, "prefix": [17, 4, 99], "class": "interactive"}
    {"at": 0.4, "prompt_tokens": 6000, "output_tokens": 900, "tenant": "b", "class": "bulk", "e2e_s": 60}

Header: `block_tokens` (512) is how many tokens of the prompt each number of `prefix` stands for, a multiple of 16;
`classes` and `tenants`, where they are given, are all that there are, so that a slip of the pen is found.

A request must say `at` (seconds), `prompt_tokens` and `output_tokens`. It may say `prefix` (numbers of its leading
blocks, chained: equal numbers mean equal beginnings), `tenant`, `class`, `model`, `stream` (true), `max_tokens`,
`body_bytes`, `patience_s` (the client leaves then), and what was promised: `ttft_s`, `tpot_s`, `e2e_s`, which go before
`--slo`. Anything else is a mistake.
"""

from dataclasses import dataclass
from typing import Any

from proxy.workload.arrival import HASH_TOKENS, NO_SLO, Arrival, Slo
from proxy.workload.trace_fields import BrokenLine, count, number, object_of, object_or_none, text

MARK = "tidegate_trace"
VERSION = 1
_PROMISES = ("ttft_s", "tpot_s", "e2e_s")
_FIELDS = frozenset(
    ("at", "prompt_tokens", "output_tokens", "prefix", "tenant", "class", "model", "stream", "max_tokens", "body_bytes",
     "patience_s", *_PROMISES)
)  # fmt: skip
_HEADER = frozenset((MARK, "block_tokens", "classes", "tenants"))
_KV_BLOCK = 16
"""Tokens: an engine's prefix cache knows no smaller pieces."""
_PREFIX_MAX = 1 << 62


def is_header(line: str) -> bool:
    """Whether a file that begins so is meant to be one."""
    return MARK in (object_or_none(line.lstrip("\ufeff")) or {})


@dataclass(frozen=True, slots=True)
class FullTrace:
    """What the header says, and the reader of the other lines."""

    block_tokens: int = HASH_TOKENS
    classes: frozenset[str] | None = None
    tenants: frozenset[str] | None = None
    """None: any."""

    @classmethod
    def of_header(cls, line: str) -> "FullTrace":
        """Raises BrokenLine."""
        row = object_of(line.lstrip("\ufeff"))
        _check_known(row, _HEADER)
        if row[MARK] != VERSION or isinstance(row[MARK], bool):
            raise BrokenLine(f"{MARK} is not {VERSION}, the version that is understood")
        block_tokens = count(row, "block_tokens", _KV_BLOCK) if "block_tokens" in row else HASH_TOKENS
        if block_tokens % _KV_BLOCK:
            raise BrokenLine(f"block_tokens is not a multiple of {_KV_BLOCK}")
        return cls(block_tokens, _names(row, "classes"), _names(row, "tenants"))

    def arrival(self, line: str) -> Arrival:
        """One request. Raises BrokenLine."""
        row = object_of(line)
        _check_known(row, _FIELDS)
        stream = row.get("stream", True)
        if not isinstance(stream, bool):
            raise BrokenLine("stream is neither true nor false")
        return Arrival(
            at=number(row, "at"),
            prompt_tokens=(tokens := count(row, "prompt_tokens", 1)),
            output_tokens=count(row, "output_tokens", 1),
            prefix_hashes=self._prefix(row, tokens),
            model=text(row, "model"),
            patience_s=_positive(row, "patience_s"),
            traffic_class=_one_of(row, "class", self.classes),
            tenant=_one_of(row, "tenant", self.tenants),
            max_tokens=None if row.get("max_tokens") is None else count(row, "max_tokens", 1),
            body_bytes=count(row, "body_bytes", 0) if "body_bytes" in row else 0,
            stream=stream,
            slo=Slo(*(_positive(row, key) for key in _PROMISES)) if row.keys() & set(_PROMISES) else NO_SLO,
        )

    def _prefix(self, row: dict[str, Any], prompt_tokens: int) -> tuple[int, ...]:
        blocks = row.get("prefix", [])
        if not isinstance(blocks, list) or not all(type(one) is int and abs(one) < _PREFIX_MAX for one in blocks):
            raise BrokenLine("prefix is not a list of whole numbers")
        if len(blocks) > -(-prompt_tokens // self.block_tokens):
            raise BrokenLine(f"prefix holds {len(blocks)} blocks, more than its {prompt_tokens} tokens")
        return tuple(blocks)


def _check_known(row: dict[str, Any], fields: frozenset[str]) -> None:
    unknown = sorted(row.keys() - fields)
    if unknown:
        raise BrokenLine(f"{unknown[0][:64]!r} is unknown; known: {', '.join(sorted(fields))}")


def _names(row: dict[str, Any], key: str) -> frozenset[str] | None:
    names = row.get(key)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise BrokenLine(f"{key} is not a list of names")
    return frozenset(names)


def _one_of(row: dict[str, Any], key: str, known: frozenset[str] | None) -> str | None:
    name = text(row, key) or None
    if name is not None and known is not None and name not in known:
        raise BrokenLine(f"{key} {name[:64]!r} is none of those that the header names: {', '.join(sorted(known))}")
    return name


def _positive(row: dict[str, Any], key: str) -> float | None:
    if row.get(key) is None:
        return None
    value = number(row, key)
    if not value:
        raise BrokenLine(f"{key} is 0, which nobody can keep")
    return value
