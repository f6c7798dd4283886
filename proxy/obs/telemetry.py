"""Finished requests on their way to a collector: a bounded queue, and a thread that makes spans and sends them.

Nobody waits for the collector. Requests that are not sampled cost their metrics alone. What does not fit into the queue
and what the collector does not take is lost and counted, and that it is in trouble is said once per interval. Metrics
are totals: what one export misses is in the next.
"""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from proxy.obs.families import Family, counter, counters
from proxy.obs.genai_metrics import GenAiMetrics, Key, Metric, Point
from proxy.obs.record import Record
from proxy.obs.spans import Span, Spans
from proxy.obs.trouble import Trouble

MAX_WAITING: Final = 2048
"""Sampled requests that wait to be sent, 3 KB each and the hashes of their prompts (16 KB of 64k tokens)."""
BATCH: Final = 256
"""Requests in one export; so many do not wait for the next look."""
LOOK_S: Final = 1.0
CLOSE_S: Final = 2.0
"""For what still waits when the proxy ends."""
Clock = Callable[[], float]
Counted = list[tuple[Metric, list[tuple[Key, Point]]]]
_log = logging.getLogger("tidegate.telemetry")


class Receiver(Protocol):
    """Where telemetry goes. Called by one thread; both may take as long as their time-out."""

    def send_spans(self, spans: list[Span]) -> str:
        """Why they were not taken; empty: they were."""

    def send_metrics(self, metrics: Counted, now_ns: int) -> str:
        """The same, of totals at this moment."""

    def close(self) -> None:
        """Whatever is being sent ends soon."""


class Exports(NamedTuple):
    """What became of them until now."""

    lost: int
    """Sampled requests of which no collector has the spans."""
    sent: Mapping[str, int]
    """Exports that were taken, by signal, and…"""
    not_sent: Mapping[str, int]
    """…those that were not."""


class Telemetry:
    """One per proxy: `add` each finished request, `close` once."""

    def __init__(
        self, receiver: Receiver, spans: Spans, metrics: GenAiMetrics, wall: Clock, clock: Clock, interval_s: float
    ) -> None:
        """`wall` and `clock`: seconds of the wall clock and of the one that Records have; `interval_s`: between two
        exports of metrics."""
        self._receiver = receiver
        self._spans = spans
        self._metrics = metrics
        self._wall = wall
        self._clock = clock
        self._interval_s = interval_s
        self._waiting: deque[Record] = deque()
        self._refused = self._failed = 0
        """Requests whose spans are lost; each has one writer."""
        self._sent = {"spans": 0, "metrics": 0}
        self._not_sent = {"spans": 0, "metrics": 0}
        self._trouble: Trouble[str] = Trouble(_tell, clock)
        self._wake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Sampled requests of which no collector has the spans."""
        return self._refused + self._failed

    def exports(self) -> Exports:
        """For `/metrics`."""
        return Exports(self.lost, self._sent, self._not_sent)

    def add(self, record: Record) -> None:
        """Count it, and have its spans sent where it is sampled; never waits."""
        self._metrics.count(record)
        trace = record.trace
        if trace is None or not trace.is_sampled:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._refused += 1
            self._trouble.begins("it takes spans more slowly than they come")
            return
        self._waiting.append(record)
        if len(self._waiting) == BATCH:
            self._wake.set()

    def close(self, within_s: float = CLOSE_S) -> None:
        """Until all is sent, or the time is up; nothing may be added afterwards."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(within_s)
        if self._thread.is_alive():
            self._receiver.close()
            if left := len(self._waiting):
                self._refused += left
                _log.warning("the collector took too long at the end: spans of %d requests are lost", left)

    def close_aside(self) -> None:
        """The same for one whose place another one takes; never waits."""
        threading.Thread(target=self.close, name="telemetry-close", daemon=True).start()

    # --- the thread

    def _run(self) -> None:
        due = self._clock() + self._interval_s
        while not self._is_closing:
            self._wake.wait(min(LOOK_S, max(0.0, due - self._clock())))
            self._wake.clear()
            self._send_spans()
            if self._clock() >= due:
                due = self._clock() + self._interval_s
                self._send_metrics()
        self._send_spans()
        self._send_metrics()
        self._receiver.close()

    def _send_spans(self) -> None:
        while batch := list(self._batch()):
            offset_s = self._wall() - self._clock()
            why_not = self._receiver.send_spans([span for record in batch for span in self._spans.of(record, offset_s)])
            if why_not:
                self._failed += len(batch)
            self._tell("spans", why_not)

    def _batch(self) -> Iterator[Record]:
        with contextlib.suppress(IndexError):
            for _ in range(BATCH):
                yield self._waiting.popleft()

    def _send_metrics(self) -> None:
        if counted := self._metrics.all():
            self._tell("metrics", self._receiver.send_metrics(counted, int(self._wall() * 1e9)))

    def _tell(self, signal: str, why_not: str) -> None:
        if why_not:
            self._not_sent[signal] += 1
            self._trouble.begins(why_not)
        else:
            self._sent[signal] += 1
            self._trouble.ends()


def telemetry_families(now: Exports) -> Iterator[Family]:
    """Its own series in `/metrics`."""
    yield counter(
        "tidegate_traces_dropped",
        "Sampled requests whose spans are lost: the collector did not take them, or not fast enough.",
        now.lost,
    )
    yield counters(
        "tidegate_telemetry_exports",
        "Exports to the collector, by signal (spans, metrics) and result (ok, failed).",
        ("signal", "result"),
        [
            ((signal, result), float(count))
            for result, counts in (("ok", now.sent), ("failed", now.not_sent))
            for signal, count in counts.items()
        ],
    )


def _tell(why: str | None) -> None:
    if why is None:
        _log.warning("the collector takes telemetry again")
    else:
        _log.error("the collector does not take telemetry: %s; spans are dropped and counted", why)
