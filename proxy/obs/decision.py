"""One request that ended, as JSON: where it went, why, and how its time was spent.

Owns the shape. Numbers and configured names, and what clients name a model; never a prompt, an answer or a key.
"""

from typing import Any, Final

from proxy.model.classes import NOTHING_PROMISED
from proxy.model.outcome import SERVED
from proxy.model.timeline import Timeline
from proxy.obs.goodput import missed_promises
from proxy.obs.record import Record
from proxy.wire.meter import Meter

_NAME: Final = 200
"""Characters of a name that a client chose."""


def told(seq: int, record: Record, now: float, wall: float) -> dict[str, Any]:
    """In one line. `now` and `wall` are one moment, on the monotonic clock and as Unix seconds."""
    line, meter = record.timeline, record.meter
    done = line.received if line.done is None else line.done
    first = meter.first_token
    return {
        "seq": seq,
        "id": record.id,
        "ended_at": wall - (now - done),
        "class": record.traffic_class,
        "model": record.model_asked[:_NAME],
        "backend": record.backend,
        "verdict": record.outcome.verdict.value,
        "end_code": record.outcome.end_code,
        "status": record.status,
        "why": why(record),
        "queued_s": _span(line.understood, line.released),
        "ttft_s": None if first is None else first - line.received,
        "tpot_s": meter.tpot_s(record.usage.completion_tokens),
        "e2e_s": _span(line.received, line.done),
        "output_tokens": record.usage.completion_tokens,
        "missed": missed(record),
    }


def detail(seq: int, record: Record, now: float, wall: float) -> dict[str, Any]:
    """All that is told of it."""
    classified, prompt = record.classified, record.usage.prompt_tokens
    return {
        **told(seq, record, now, wall),
        "endpoint": record.endpoint,
        "stream": record.stream,
        "model_served": record.model_served[:_NAME],
        "class_by": classified.by if classified is not None else "",
        "rule": None if classified is None or classified.rule is None else f"routing.rules[{classified.rule}]",
        "tenant": record.tenant,
        "attempts": record.attempts,
        "resumed": record.resumed,
        "hedge": record.hedge,
        "fallback": record.fallback,
        "cache": record.cache,
        "prompt_tokens": prompt,
        "cached_tokens": record.usage.cached_tokens,
        "token_source": record.token_source,
        "promise": {name: value for name, value in record.promise._asdict().items() if value},
        "fault": None if record.outcome.fault is None else record.outcome.fault.kind.value,
        "company": None if record.company is None else record.company._asdict(),
        "stages": stages(record.timeline, record.meter),
    }


def stages(line: Timeline, meter: Meter) -> list[dict[str, Any]]:
    """How its time was spent, in order and without gaps; what it ended in lasts until its end."""
    if line.released is None:
        marks: tuple[tuple[str, float | None], ...] = (("understand", line.understood), ("queue", line.done))
    elif meter.first_token is not None:
        marks = (*_until_connected(line), ("prefill", meter.first_token), ("decode", meter.last_token), _finish(line))
    elif line.first_byte is not None:
        marks = (*_until_connected(line), ("engine", line.first_byte), _finish(line))
    else:
        marks = (*_until_connected(line), ("engine", line.done))
    spent, since = [], line.received
    for name, until in marks:
        if until is not None and until >= since:
            spent.append({"stage": name, "s": until - since})
            since = until
    return spent


def _until_connected(line: Timeline) -> tuple[tuple[str, float | None], ...]:
    return ("understand", line.understood), ("queue", line.released), ("connect", line.connected)


def _finish(line: Timeline) -> tuple[str, float | None]:
    return "finish", line.done


def why(record: Record) -> str:
    """The one thing that had a say, in a word or two; empty: the policy alone."""
    if record.is_from_memory:
        return f"cache {record.cache}"
    if record.reason:
        return record.reason
    if record.outcome is not SERVED and record.outcome.fault is not None:
        return record.outcome.fault.kind.value
    for word, happened in (
        (f"fallback {record.fallback}", record.fallback),
        (f"hedge {record.hedge}", record.hedge),
        ("resumed", record.resumed),
        ("retry", record.attempts > 1),
    ):
        if happened:
            return word
    return ""


def missed(record: Record) -> list[str]:
    """Which promises a served one broke."""
    if record.outcome is not SERVED or record.promise is NOTHING_PROMISED:
        return []
    return missed_promises(record)


def _span(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)
