"""The calls to engines that an access log (JSON) tells of: when each was sent, began to answer and ended.

Owns which lines can be learned from, and why the others cannot, counted. A call that cannot be judged by itself, such
as an answer in one piece, is kept as company: its engine was busy with it all the same.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from proxy.workload.trace_fields import BrokenLine, count, number, object_of, seconds, text
from proxy.workload.traces import TraceError, log_lines

_SPANS: Final = ("queue_ms", "window_ms")
_ELSEWHERE: Final = frozenset({"hit", "coalesced"})
_FULLY: Final = "served"


class CallsError(Exception):
    """Nothing can be learned from this log; the message says why."""


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt that was the only one of its request. Seconds of the log's clock."""

    backend: str
    sent: float
    """Out of the proxy's queue, and on its way."""
    first: float
    """First token; of company that streams nothing: `sent`."""
    done: float
    prompt: int
    cached: int
    """Of those, tokens that the engine had computed before; 0 where it does not say."""
    output: int
    is_judged: bool = True
    """False: only company."""

    @property
    def computed(self) -> int:
        """Prompt tokens that had to be computed, at least one."""
        return max(1, self.prompt - self.cached)

    @property
    def ttft_s(self) -> float:
        """After it was sent."""
        return self.first - self.sent

    @property
    def e2e_s(self) -> float:
        """After it was sent."""
        return self.done - self.sent

    @property
    def tpot_s(self) -> float | None:
        """None: an answer of one token."""
        return (self.done - self.first) / (self.output - 1) if self.output > 1 else None


@dataclass(slots=True)
class Calls:
    """What a log tells."""

    calls: list[Call] = field(default_factory=list)
    """In the order in which they were sent."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Why → lines."""
    without_cached: int = 0
    """Calls whose engine does not say how much of the prompt it had."""
    models: dict[str, Counter[str]] = field(default_factory=dict)
    """Backend → names that were asked of it."""

    def of(self, backend: str) -> list[Call]:
        """Those of one backend."""
        return [call for call in self.calls if call.backend == backend]

    def backends(self) -> list[str]:
        """Their names."""
        return sorted({call.backend for call in self.calls})


def read_calls(paths: Sequence[Path]) -> Calls:
    """Of one log in as many files as it was rotated into, packed by gzip or not. Raises CallsError."""
    found = Calls()
    lines = 0
    for path in paths:
        try:
            for position, line in enumerate(log_lines(path), 1):
                if line.strip():
                    lines += 1
                    _add(found, line, f"{path}:{position}")
        except (OSError, TraceError) as error:
            words = f"{path}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
            raise CallsError(words) from None
    where = ", ".join(map(str, paths))
    if not lines:
        raise CallsError(f"{where}: is empty: there is nothing to learn from")
    if not any(call.is_judged for call in found.calls):
        raise CallsError(f"{where}: none of {lines} lines tells of a call to learn from: {excluded(found)}")
    found.calls.sort(key=lambda call: call.sent)
    return found


def excluded(calls: Calls) -> str:
    """What was left out and why, in words."""
    return ", ".join(f"{why} {n:,}" for why, n in calls.left_out.most_common()) or "nothing left out"


def _add(found: Calls, line: str, where: str) -> None:
    try:
        row = object_of(line)
    except BrokenLine:
        if not found.calls and not found.left_out:
            raise CallsError(f"{where}: is no JSON; log: {{format: json}} writes a log that can be read") from None
        found.left_out["broken line"] += 1
        return
    why = _why_not(row)
    if why:
        found.left_out[why] += 1
        return
    try:
        call = _call(row)
    except BrokenLine as broken:
        found.left_out[f"broken line ({broken})"] += 1
        return
    if not call.sent <= call.first <= call.done:
        found.left_out["times that cannot be"] += 1
        return
    found.without_cached += row.get("cached_tokens") is None
    found.models.setdefault(call.backend, Counter())[text(row, "model_served") or text(row, "model_asked")] += 1
    if not call.is_judged:
        found.left_out["in one piece (kept as company)"] += 1
    found.calls.append(call)


_RULES: Final[tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...]] = (
    ("no request", lambda row: "time" not in row or "outcome" not in row),
    ("not sent to an engine", lambda row: not row.get("backend")),
    ("from the cache", lambda row: row.get("cache") in _ELSEWHERE),
    ("not served", lambda row: row["outcome"] != _FULLY),
    ("hedged", lambda row: bool(row.get("hedge"))),
    ("merged", lambda row: bool(row.get("batch"))),
    ("retried", lambda row: row.get("attempts") != 1 or bool(row.get("resumed"))),
    ("without usage", lambda row: not row.get("prompt_tokens") or row.get("completion_tokens") is None),
    ("no answer generated", lambda row: not row.get("completion_tokens")),
    ("without times", lambda row: row.get("e2e_ms") is None),
)


def _why_not(row: dict[str, Any]) -> str:
    return next((why for why, holds in _RULES if holds(row)), "")


def _call(row: dict[str, Any]) -> Call:
    ended = seconds(row["time"]) if isinstance(row["time"], str) else number(row, "time")
    came = ended - number(row, "e2e_ms") / 1e3
    sent = came + sum(number(row, name) for name in _SPANS if row.get(name) is not None) / 1e3
    streams = row.get("stream") is True and row.get("ttft_ms") is not None
    return Call(
        text(row, "backend"),
        sent=sent,
        first=came + number(row, "ttft_ms") / 1e3 if streams else sent,
        done=ended,
        prompt=count(row, "prompt_tokens", 1),
        cached=count(row, "cached_tokens", 0) if row.get("cached_tokens") is not None else 0,
        output=count(row, "completion_tokens", 1),
        is_judged=streams,
    )


def split_by_time(calls: Iterable[Call], holdout: float) -> tuple[list[Call], list[Call]]:
    """The first ones in order of time, and the last ones. `holdout`: the share of the calls that is last."""
    ordered = sorted(calls, key=lambda call: call.sent)
    cut = len(ordered) - round(holdout * len(ordered))
    return ordered[:cut], ordered[cut:]
