"""The syntax of `Server-Timing` (W3C): reports of a client's own stages are read, and where our time went is written.

    retrieval;dur=42;hit=1, rerank;dur=18        durations in milliseconds

Owns the bounds of a report. An entry that says nothing sensible is left out and counted: how a request is served never
depends on it. `now` is monotonic seconds.
"""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from proxy.model import timings
from proxy.model.timeline import Timeline
from proxy.model.timings import MOST_STAGES, NOTHING_REPORTED, OURS, TOTAL, Reported, Stage
from proxy.wire.meter import Meter

HEADER: Final = b"x-tidegate-stages"
"""Of a request."""
_OF_HEADERS: Final = OURS | {TOTAL}
"""All that its client saw of a request is known when it is over."""
_MOST_B: Final = 8192
_MOST_ENTRIES: Final = 256
"""Looked at, of one report."""
_MOST_WHOLE_MS: Final = 86_400_000
_MOST_MS: Final = float(_MOST_WHOLE_MS)
"""A day."""
_NAME: Final = re.compile(timings.NAME_PATTERN)
_ENTRY: Final = re.compile(rb'(?:[^",]|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)
_PARAMETER: Final = re.compile(rb'(?:[^";]|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)
_NUMBER: Final = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{0,12})?\Z")
_NO_TOKENS: Final = Meter()
_KNOWN: Final = 1000
_WHOLES: Final = tuple([str(number) for number in range(_KNOWN)])
"""Nearly all of the numbers that are written."""
_TENTHS: Final = ("", ".1", ".2", ".3", ".4", ".5", ".6", ".7", ".8", ".9")


class Reading:
    """Puts one report together, entry by entry."""

    __slots__ = ("_ignored", "_known", "_reserved", "_stages")

    def __init__(self, known: Mapping[str, Stage], reserved: frozenset[str]) -> None:
        """`known`: stages reported before, which are not reported twice; `reserved`: those that nobody may report."""
        self._known = known
        self._reserved = reserved
        self._stages: dict[str, Stage] = {}
        self._ignored: dict[str, int] = {}

    def ignore(self, why: str, times: int = 1) -> None:
        """Count entries that say nothing."""
        if times > 0:
            self._ignored[why] = self._ignored.get(why, 0) + times

    def take(self, name: str, ms: float | None, hit: bool | None) -> None:
        """One entry; `ms`: None or no sane number: it is ignored. Several of one name are one stage that took all of
        their time."""
        name = name.lower()
        if name in self._reserved or _NAME.match(name) is None:
            self.ignore("name")
        elif ms is None or not isfinite(ms) or not 0 <= ms <= _MOST_MS:
            self.ignore("duration")
        elif name in self._known:
            self.ignore("duplicate")
        elif name not in self._stages and len(self._stages) + len(self._known) >= MOST_STAGES:
            self.ignore("too_many")
        else:
            before = self._stages.get(name)
            old_ms, hits, lookups = (0.0, 0, 0) if before is None else before
            self._stages[name] = Stage(old_ms + ms, hits + (hit is True), lookups + (hit is not None))

    def reported(self) -> Reported:
        """All of it."""
        return Reported(self._stages, self._ignored)


def parse(value: bytes, reserved: frozenset[str] = _OF_HEADERS) -> Reported:
    """What a header says, but for stages that are `reserved`; never raises."""
    reading = Reading(NOTHING_REPORTED.stages, reserved)
    if len(value) > _MOST_B:
        value = value[:_MOST_B].rpartition(b",")[0]
        reading.ignore("too_many")
    entries = [entry for entry in _ENTRY.findall(value) if entry.strip()]
    reading.ignore("too_many", len(entries) - _MOST_ENTRIES)
    for entry in entries[:_MOST_ENTRIES]:
        _read(entry, reading)
    return reading.reported()


def of_fields(fields: Mapping[str, Any], known: Mapping[str, Stage]) -> Reported:
    """What an object says: `{"post_process": 12.5}`, or `{"retrieval": {"dur": 3, "hit": 1}}`."""
    reading = Reading(known, OURS)
    reading.ignore("too_many", len(fields) - _MOST_ENTRIES)
    for name, value in list(fields.items())[:_MOST_ENTRIES]:
        said = value if isinstance(value, dict) else {"dur": value}
        hit = said.get("hit")
        if isinstance(hit, float | str | list | dict) or hit not in (None, 0, 1):
            reading.ignore("malformed")
        else:
            reading.take(name, _number(said.get("dur")), None if hit is None else bool(hit))
    return reading.reported()


def _read(entry: bytes, reading: Reading) -> None:
    name, *parameters = [part.strip(b" \t") for part in _PARAMETER.findall(entry)] or [b""]
    ms: float | None = None
    hit: bool | None = None
    for parameter in parameters:
        key, equals, value = parameter.partition(b"=")
        key, value = key.strip(b" \t").lower(), value.strip(b" \t")
        if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
            value = value[1:-1]
        if key == b"dur":
            ms = float(value) if _NUMBER.match(value) else -1.0
        elif key == b"hit":
            if not equals or value not in (b"0", b"1"):
                reading.ignore("malformed")
                return
            hit = value == b"1"
    reading.take(name.decode("latin-1"), ms, hit)


def _number(value: Any) -> float | None:
    """Of JSON; true is no number, and an integer may be larger than any float."""
    if isinstance(value, float):
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value <= _MOST_WHOLE_MS else -1.0


# --- what is written


def own_stages(line: Timeline, meter: Meter, end: float) -> dict[str, float]:
    """Where the time went that was spent here, seconds by stage, in order; `end`: when the answer was complete."""
    spent = _waits(line, end)
    released, first, last = line.released, meter.first_token, meter.last_token
    if released is None:
        return spent
    if first is not None and last is not None:
        spent[timings.PREFILL] = max(0.0, first - released)
        spent[timings.DECODE] = last - max(first, released)
    else:
        spent[timings.ENGINE] = max(0.0, (end if line.answered is None else line.answered) - released)
    if line.answered is not None and line.checked is not None:
        if line.repaired_s:
            spent[timings.REPAIR] = line.repaired_s
        spent[timings.POST_PROCESS] = max(0.0, line.checked - line.answered - line.repaired_s)
    return spent


def of_whole(line: Timeline, now: float) -> bytes:
    """The header's value for an answer that is complete."""
    understood, released = line.understood, line.released
    if understood is not None and released is not None and _is_usual(line):
        return _of_usual(line.received, understood, released, now)
    words, told_s = _told(line)
    spent = own_stages(line, _NO_TOKENS, now)
    for name in spent:
        words.append(name + ";dur=" + _ms(spent[name]))
        told_s += spent[name]
    total = now - line.received + (0.0 if line.reported is None else reported_s(line.reported))
    words.append("unattributed;dur=" + _ms(max(0.0, total - told_s)))
    words.append("total;dur=" + _ms(total))
    return ", ".join(words).encode()


def _is_usual(line: Timeline) -> bool:
    """Nothing was reported, waited for others or checked."""
    return line.reported is None and line.gathered is None and line.answered is None


def _of_usual(received: float, understood: float, released: float, now: float) -> bytes:
    """The same for nearly all answers, at a fifth of the cost."""
    queue = released - understood
    if queue < 0.0:
        queue = 0.0
    engine, rest, total = _ms(now - released), _ms(understood - received), _ms(now - received)
    return f"queue;dur={_ms(queue)}, engine;dur={engine}, unattributed;dur={rest}, total;dur={total}".encode()


def of_beginning(line: Timeline, meter: Meter, now: float) -> bytes:
    """The same for a stream, as far as it is known when it begins; empty: nothing is."""
    words, _ = _told(line)
    spent = _waits(line, now)
    if line.released is not None and meter.first_token is not None:
        spent[timings.PREFILL] = max(0.0, meter.first_token - line.released)
    for name in spent:
        words.append(name + ";dur=" + _ms(spent[name]))
    return ", ".join(words).encode()


def _waits(line: Timeline, end: float) -> dict[str, float]:
    """Before it went to an engine, or until it was refused."""
    released, gathered, understood = line.released, line.gathered, line.understood
    if understood is None or line.is_from_memory:
        return {}
    until = end if released is None else released
    if gathered is None:
        return {timings.QUEUE: max(0.0, until - understood)}
    return {timings.QUEUE: max(0.0, gathered - understood), timings.WINDOW: max(0.0, until - gathered)}


def _told(line: Timeline) -> tuple[list[str], float]:
    """What the client said itself, and the sum of it in seconds."""
    if line.reported is None:
        return [], 0.0
    stages = line.reported.stages
    return [name + ";dur=" + _ms(stage.ms / 1e3) for name, stage in stages.items()], reported_s(line.reported)


def reported_s(reported: Reported) -> float:
    """Seconds of all its stages."""
    return sum([stage.ms for stage in reported.stages.values()]) / 1e3


def _ms(seconds: float) -> str:
    """Milliseconds with at most one digit behind the point; compiled, a format costs ten times as much."""
    tenths = int(seconds * 1e4 + 0.5)
    whole = tenths // 10
    return (_WHOLES[whole] if 0 <= whole < _KNOWN else str(whole)) + _TENTHS[tenths % 10]
