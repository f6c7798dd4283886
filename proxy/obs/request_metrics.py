"""Requests as they ended, their times and tokens, by endpoint, class and backend.

Owns names and help texts of these. Plain counters on the hot path, turned into series only when somebody looks.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from proxy.model.classes import Promise
from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.histogram import SECONDS, Histogram, with_bounds
from proxy.model.outcome import SERVED, Verdict
from proxy.obs.families import Family, Histograms, counters
from proxy.obs.record import Record, Streaming

_NO_BACKEND: Final = "none"
_NO_CLASS: Final = "none"
_STATUSES: Final = {0: "0", 499: "499"} | {status.value: str(status.value) for status in HTTPStatus}
"""Statuses that may become a label: those that exist, 0 for no answer, 499 for a client that left."""
_LABELS: Final = ("endpoint", "class", "backend")
_DIRECTIONS: Final = ("prompt", "completion", "cached")
_HISTOGRAMS: Final = {
    "service": "From the last dispatch to the last byte sent.",
    "e2e": "From received to the last byte sent.",
    "ttft": "Streams: from received to the first event with output (not the role, not a comment).",
    "tpot": "Streams: (last token - first token) / (tokens - 1), per request.",
    "itl": "Streams: time between tokens; an event of k tokens counts k, spread over its gap.",
}
"""What both a class and a backend make: attribute of a series → help text; exported as `tidegate_<name>_seconds`."""
_OF_CLASSES: Final = {
    "queue": "From understood to dispatched, or to a window: time held here.",
    "answer_ttft": "Streams: from received to the first event of the answer proper, after what the model thinks.",
    "overhead": "Time that is ours: from received to understood, and from the engine's last byte to ours.",
}
"""What does not depend on the backend."""
_OF_BACKENDS: Final = {
    "connect": "From the last dispatch to a connection with the request written to it.",
    "engine_wait": "From the last dispatch to the first byte of the engine's answer.",
    "event_gap": "Streams: time between events with output, as they came.",
}
"""What does not depend on the class. A fleet of 64 backends with 8 classes has 500 series of each of the first kind, of
30 lines each: others would be half of every scrape."""

Key = tuple[str, str, str]


class Bounds:
    """Upper bounds of the histograms, seconds: the usual ones and what is promised."""

    __slots__ = ("e2e", "tpot", "ttft")

    def __init__(self, promises: Iterable[Promise] = ()) -> None:
        all_of = list(promises)
        self.ttft = with_bounds(*(one.ttft_s for one in all_of))
        self.tpot = with_bounds(*(one.tpot_s for one in all_of))
        self.e2e = with_bounds(*(one.e2e_s for one in all_of), *(one.deadline_s for one in all_of))


class _OfClass:
    """What is counted per endpoint and class."""

    __slots__ = ("answer_ttft", "overhead", "queue")

    def __init__(self, bounds: Bounds) -> None:
        self.queue = Histogram()
        self.answer_ttft = Histogram(bounds.ttft)
        self.overhead = Histogram(_SHORT)


class _OfBackend:
    """What is counted per endpoint and backend."""

    __slots__ = ("connect", "engine_wait", "event_gap")

    def __init__(self) -> None:
        self.connect = Histogram()
        self.engine_wait = Histogram()
        self.event_gap = Histogram()


class _Series:
    """What is counted per endpoint, class and backend."""

    __slots__ = (
        "cached",
        "completion",
        "e2e",
        "endings",
        "itl",
        "of_backend",
        "of_class",
        "prompt",
        "service",
        "silent",
        "tpot",
        "ttft",
    )

    def __init__(self, bounds: Bounds, of_class: _OfClass, of_backend: _OfBackend) -> None:
        self.of_class = of_class
        self.of_backend = of_backend
        self.endings: dict[tuple[str, str, str], int] = {}
        self.service = Histogram()
        self.ttft = Histogram(bounds.ttft)
        self.tpot = Histogram(bounds.tpot)
        self.itl = Histogram()
        self.e2e = Histogram(bounds.e2e)
        self.prompt = self.completion = self.cached = self.silent = 0


_SHORT: Final = (0.00005, 0.0001, 0.0002, 0.0003, 0.0005, *SECONDS)
"""Bounds of what takes no time, seconds."""


class RequestMetrics:
    """One per proxy."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._series: dict[Key, _Series] = {}
        self._of_classes: dict[tuple[str, str], _OfClass] = {}
        self._of_backends: dict[tuple[str, str], _OfBackend] = {}
        self._faults: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._fallbacks: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._wasted: defaultdict[tuple[str, str], int] = defaultdict(int)

    def forget(self, backend: str) -> None:
        """No series of it any more."""
        for key in [key for key in self._series if key[2] == backend]:
            del self._series[key]
        for pair in [pair for pair in self._of_backends if pair[1] == backend]:
            del self._of_backends[pair]

    def ends(self) -> tuple[int, int]:
        """Requests that ended but for those whose client left; of them those that were not served well."""
        requests = errors = 0
        for series in self._series.values():
            for (verdict, _, status), count in series.endings.items():
                if verdict != Verdict.CANCELLED:
                    requests += count
                    errors += count if verdict != Verdict.SERVED or status >= "4" else 0
        return requests, errors

    def count(self, record: Record) -> Key:
        """One finished request; what it was counted as."""
        key = record.endpoint, record.traffic_class or _NO_CLASS, record.backend or _NO_BACKEND
        series = self._of(key)
        outcome = record.outcome
        ending = str(outcome.verdict), outcome.end_code, _STATUSES.get(record.status, "other")
        series.endings[ending] = series.endings.get(ending, 0) + 1
        if outcome.fault is not None:
            self._faults[outcome.fault.source.value, outcome.fault.kind.value] += 1
        if record.fallback:
            self._fallbacks[record.traffic_class, record.fallback] += 1
        if outcome.verdict is Verdict.CANCELLED:
            self._waste(record)
        _time(series, record)
        _weigh(series, record)
        return key

    def meter(self, running: Iterable[Streaming]) -> None:
        """What streams have metered so far that are not over: long answers show before they end."""
        for endpoint, traffic_class, backend, meter in running:
            series = self._of((endpoint, traffic_class, backend or _NO_BACKEND))
            meter.hand_over(series.itl, series.of_backend.event_gap)

    def silent(self) -> dict[str, int]:
        """Generated answers by backend that told the tokens of the prompt and not those of them that were cached.
        Vectors and rankings have no use for a prefix cache."""
        counts: defaultdict[str, int] = defaultdict(int)
        for (endpoint, _, backend), series in self._series.items():
            if ENDPOINTS[Endpoint(endpoint)].generates:
                counts[backend] += series.silent
        return counts

    def families(self, hedge_tokens: float = 0.0, retry_tokens: float = 0.0) -> Iterator[Family]:
        """All series; with what the scheduler counted of tokens that were wasted."""
        series = list(self._series.items())
        yield counters(
            "tidegate_cached_untold",
            "Generated answers whose engine told the tokens of the prompt and not how many of them were cached.",
            ("backend",),
            [((backend,), float(count)) for backend, count in self.silent().items()],
        )
        yield counters(
            "tidegate_requests",
            "Requests ended, by verdict (served, shed, failed, cancelled), end-code (who and where) and HTTP status.",
            (*_LABELS, "verdict", "end_code", "status"),
            [((*key, *ending), float(n)) for key, one in series for ending, n in one.endings.items()],
        )
        yield from _histograms(_HISTOGRAMS, _LABELS, series)
        yield from _histograms(_OF_CLASSES, ("endpoint", "class"), list(self._of_classes.items()))
        yield from _histograms(_OF_BACKENDS, ("endpoint", "backend"), list(self._of_backends.items()))
        yield counters(
            "tidegate_tokens",
            "Tokens as the engines reported them; cached is part of prompt.",
            ("backend", "direction"),
            self._tokens().items(),
        )
        wasted = {("hedge_lost", "prompt"): hedge_tokens, ("retry", "prompt"): retry_tokens, **self._wasted}
        yield counters(
            "tidegate_wasted_tokens",
            "Tokens that engines worked at for nobody: the client left, another attempt was faster, or it failed and "
            "was repeated. Those of prompts are estimates, and what prefix caches held is in them.",
            ("cause", "direction"),
            [(pair, float(tokens)) for pair, tokens in wasted.items()],
        )
        yield counters(
            "tidegate_faults",
            "Requests that ended in a fault, by whose and what.",
            ("source", "kind"),
            self._faults.items(),
        )
        yield counters(
            "tidegate_fallbacks",
            "Requests sent to another model or pool instead of being refused.",
            ("class", "to"),
            self._fallbacks.items(),
        )

    def _of(self, key: Key) -> _Series:
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._new(key)
        return series

    def _new(self, key: Key) -> _Series:
        endpoint, traffic_class, backend = key
        of_class = self._of_classes.get((endpoint, traffic_class))
        if of_class is None:
            of_class = self._of_classes[endpoint, traffic_class] = _OfClass(self._bounds)
        of_backend = self._of_backends.get((endpoint, backend))
        if of_backend is None:
            of_backend = self._of_backends[endpoint, backend] = _OfBackend()
        return _Series(self._bounds, of_class, of_backend)

    def _waste(self, record: Record) -> None:
        """Its client left."""
        if record.timeline.released is not None:
            usage = record.usage
            prompt = record.expected_prompt if usage.prompt_tokens is None else usage.prompt_tokens
            self._wasted["client_gone", "prompt"] += prompt
            self._wasted["client_gone", "completion"] += usage.completion_tokens or 0

    def _tokens(self) -> dict[tuple[str, str], float]:
        found: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (_, _, backend), series in self._series.items():
            for direction in _DIRECTIONS:
                found[backend, direction] += getattr(series, direction)
        return found


def _histograms(
    texts: Mapping[str, str], labels: tuple[str, ...], series: Sequence[tuple[tuple[str, ...], object]]
) -> Iterator[Histograms]:
    for name, text in texts.items():
        rows: list[tuple[tuple[str, ...], Histogram]] = [(key, getattr(one, name)) for key, one in series]
        yield Histograms(f"tidegate_{name}_seconds", text, labels, rows)


def _time(series: _Series, record: Record) -> None:
    timeline, meter = record.timeline, record.meter
    received, released, done = timeline.received, timeline.released, timeline.done
    if released is not None and timeline.understood is not None:
        series.of_class.queue.observe(
            (released if timeline.gathered is None else timeline.gathered) - timeline.understood
        )
        if done is not None:
            series.service.observe(done - released)
        if timeline.connected is not None:
            _observe(series.of_backend.connect, timeline.connected - released)
        if timeline.first_byte is not None:
            _observe(series.of_backend.engine_wait, timeline.first_byte - released)
    if done is not None:
        series.e2e.observe(done - received)
        if timeline.understood is not None and timeline.last_byte is not None and record.outcome is SERVED:
            _observe(series.of_class.overhead, timeline.understood - received + done - timeline.last_byte)
    if meter.first_token is not None:
        series.ttft.observe(meter.first_token - received)
        if meter.first_answer is not None:
            series.of_class.answer_ttft.observe(meter.first_answer - received)
        tpot_s = meter.tpot_s(record.usage.completion_tokens)
        if tpot_s is not None:
            series.tpot.observe(tpot_s)
        meter.hand_over(series.itl, series.of_backend.event_gap)
    if record.trace is not None and (trace_id := record.exemplar):
        _exemplify(series, record, trace_id)


def _exemplify(series: _Series, record: Record, trace_id: str) -> None:
    """The trace to look at for what was just counted."""
    timeline, meter = record.timeline, record.meter
    received, released, done = timeline.received, timeline.released, timeline.done
    if released is not None and timeline.understood is not None:
        held_until = released if timeline.gathered is None else timeline.gathered
        series.of_class.queue.exemplify(held_until - timeline.understood, trace_id)
    if done is not None:
        series.e2e.exemplify(done - received, trace_id)
    if meter.first_token is not None:
        series.ttft.exemplify(meter.first_token - received, trace_id)
        tpot_s = meter.tpot_s(record.usage.completion_tokens)
        if tpot_s is not None:
            series.tpot.exemplify(tpot_s, trace_id)


def _observe(histogram: Histogram, value_s: float) -> None:
    """What is below 0 is of an earlier attempt than the last one."""
    if value_s >= 0:
        histogram.observe(value_s)


def _weigh(series: _Series, record: Record) -> None:
    prompt, completion, cached = record.usage
    series.prompt += prompt or 0
    series.completion += completion or 0
    series.cached += cached or 0
    if cached is None and prompt is not None:
        series.silent += 1
