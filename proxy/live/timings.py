"""Where the time of finished requests went, told to whoever asked them, and what they report of it afterwards.

Owns the map: its count and age. Found by whoever has the key that asked, and the id of its answer: nobody can read or
overwrite another key's, and is told of it what is told of one that there never was.
"""

from typing import Any, Final

import orjson

from proxy.model import timings
from proxy.model.faults import Fault, FaultError, Kind, downstream
from proxy.model.timeline import Clock
from proxy.model.timings import NOTHING_REPORTED, Stage, TimingSettings
from proxy.obs.record import Record
from proxy.obs.stage_metrics import StageMetrics
from proxy.wire import identity, server_timing
from proxy.wire.body import invalid
from proxy.wire.headers import Head
from proxy.wire.server_timing import reported_s

_REPORT_B: Final = 16 * 1024
Name = tuple[bytes, str]
"""The whole digest of an API key, and the id of a request."""


class Timing:
    """Of one request."""

    __slots__ = ("later", "record", "until", "verdict")

    def __init__(self, record: Record, until: float) -> None:
        self.record = record
        self.until = until
        self.later: dict[str, Stage] = {}
        """Reported after it was over."""
        self.verdict = ""
        """What was found of a structured answer; empty: nobody looked."""


class Timings:
    """One per proxy."""

    def __init__(self, settings: TimingSettings, metrics: StageMetrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._young: dict[Name, Timing] = {}
        self._old: dict[Name, Timing] = {}
        """Those before. They go when the young ones have got old, by number or age: no oldest is looked for."""
        self._turns_at = 0.0
        self.configure(settings)

    def configure(self, settings: TimingSettings) -> None:
        """How many are kept, and how long, from now on."""
        self._most = settings.keep
        self._max_age_s = settings.max_age
        self._most_young = max(1, self._most // 2)
        if len(self) > self._most:
            self._old = {}
        if len(self) > self._most:
            self._young = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def keep(self, head: Head, record: Record) -> Timing | None:
        """A request is over. None: nothing is kept of any."""
        if not self._most:
            return None
        done = record.timeline.done
        now = self._clock() if done is None else done
        if len(self._young) >= self._most_young or now >= self._turns_at:
            self._old, self._young, self._turns_at = self._young, {}, now + self._max_age_s
        timing = self._young[identity.whose(head), record.id] = Timing(record, now + self._max_age_s)
        return timing

    def tell(self, head: Head, request_id: str) -> bytes:
        """All that is known of one. FaultError for one that there is not."""
        return orjson.dumps(told(request_id, self._find(head, request_id)))

    def report(self, head: Head, request_id: str, body: bytes) -> bytes:
        """More stages of it; all that is known then. FaultError where there is none, and for what is no report."""
        timing = self._find(head, request_id)
        record = timing.record
        before = (record.timeline.reported or NOTHING_REPORTED).stages
        more = server_timing.of_fields(_fields(head, body), {**before, **timing.later})
        timing.later.update(more.stages)
        self._metrics.report(more)
        return orjson.dumps({**told(request_id, timing), "ignored": more.ignored})

    def _find(self, head: Head, request_id: str) -> Timing:
        name = identity.whose(head), request_id
        found = self._young.get(name) or self._old.get(name)
        if found is None or found.until <= self._clock():
            raise FaultError(_unknown())
        return found


def told(request_id: str, timing: Timing) -> dict[str, Any]:
    """As JSON. Milliseconds; what its client measured from end to end (`total`) decides what is unattributed, else the
    sum of what it reported and what was measured here."""
    record, later = timing.record, timing.later
    line = record.timeline
    assert line.done is not None
    reported = line.reported or NOTHING_REPORTED
    stages = [_of_client(name, stage) for name, stage in reported.stages.items()]
    ours = server_timing.own_stages(line, record.meter, line.done)
    stages += [{"name": name, "ms": _rounded(spent * 1e3), "by": "proxy"} for name, spent in ours.items()]
    stages += [_of_client(name, stage) for name, stage in later.items() if name != timings.TOTAL]
    here_ms = (line.done - line.received) * 1e3
    client_ms = reported_s(reported) * 1e3 + sum(stage.ms for name, stage in later.items() if name != timings.TOTAL)
    total = later.get(timings.TOTAL)
    e2e_ms = here_ms + client_ms if total is None else total.ms
    return {
        "object": "tidegate.request.timing",
        "id": request_id,
        "class": record.traffic_class,
        "status": record.status,
        "outcome": record.outcome.end_code,
        "stages": stages,
        "unattributed_ms": _rounded(e2e_ms - client_ms - sum(ours.values()) * 1e3),
        "e2e_ms": _rounded(e2e_ms),
        "proxy_ms": _rounded(here_ms),
        **_of_tokens(record),
        **({"structured": timing.verdict} if timing.verdict else {}),
    }


def _of_tokens(record: Record) -> dict[str, Any]:
    """TTFT counts from the last byte of the request, as everywhere."""
    first, tokens = record.meter.first_token, record.usage.completion_tokens
    found: dict[str, Any] = {} if tokens is None else {"completion_tokens": tokens}
    if first is not None:
        found["ttft_ms"] = _rounded((first - record.timeline.received) * 1e3)
        tpot_s = record.meter.tpot_s(tokens)
        if tpot_s is not None:
            found["tpot_ms"] = _rounded(tpot_s * 1e3)
    return found


def _of_client(name: str, stage: Stage) -> dict[str, Any]:
    said: dict[str, Any] = {"name": name, "ms": _rounded(stage.ms), "by": "client"}
    return {**said, "hits": stage.hits, "lookups": stage.lookups} if stage.lookups else said


def _rounded(ms: float) -> float:
    return round(ms, 3)


def _fields(head: Head, body: bytes) -> dict[str, Any]:
    if head.content_encoding or len(body) > _REPORT_B:
        raise FaultError(downstream(Kind.BODY_TOO_LARGE, f"A report has at most {_REPORT_B} bytes, not packed."))
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise invalid('The body must be a JSON object, such as {"post_process": 12.5}: milliseconds by stage.')
    return fields


def _unknown() -> Fault:
    """The same words for one that is not there, is not there any more, or is another key's."""
    return downstream(Kind.UNKNOWN_ROUTE, "There is no request of this id, or no more.", code="request_not_found")
