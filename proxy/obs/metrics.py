"""All metrics of one proxy: who counts what of a finished request, and all families in their order.

Labels come from the configuration or from closed sets, never from user input.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from proxy.core.scheduler import Scheduler
from proxy.model.classes import Promise
from proxy.model.outcome import SERVED
from proxy.obs.batches import Batches
from proxy.obs.cache_metrics import cache_families
from proxy.obs.exposition import Writer
from proxy.obs.families import Family
from proxy.obs.goodput import Goodput
from proxy.obs.labels import Labels
from proxy.obs.owners_metrics import owners_families
from proxy.obs.percentile_metrics import percentile_families
from proxy.obs.percentiles import Key, Percentiles
from proxy.obs.prefix_metrics import prefix_families
from proxy.obs.process_metrics import Gauges, connection_families, edit_families, process_families
from proxy.obs.prompt_metrics import PromptMetrics
from proxy.obs.realtime_metrics import realtime_families
from proxy.obs.record import Record, Streaming
from proxy.obs.request_metrics import Bounds, RequestMetrics
from proxy.obs.scheduler_metrics import scheduler_families
from proxy.obs.slo_metrics import slo_families
from proxy.obs.stage_metrics import StageMetrics
from proxy.obs.store_metrics import store_families
from proxy.obs.telemetry import telemetry_families
from proxy.obs.usage_metrics import UsageMetrics, truncated_families
from proxy.obs.worsening import Tally
from proxy.wire.prompts.lint import PrefixLint

MAX_NAMES: Final = 64
"""Values of the labels `model` and `tenant`, unless told otherwise."""
AT_END: Final = "When a request ends"
AT_DECISION: Final = "When something is decided or learned; gauges are read when somebody looks"
AT_LOOK: Final = "When somebody looks"
"""When metrics are written."""
_LEFT_MAX: Final = 64
"""Backends that left and have series still."""
_KEPT_HERE: Final[Key] = ("", "", "", "kept", "")


class Metrics:
    """Counts finished requests and knows all families."""

    def __init__(
        self,
        scheduler: Scheduler,
        gauges: Callable[[], Gauges],
        now: Callable[[], float],
        lint: PrefixLint | None = None,
        stages: StageMetrics | None = None,
        *,
        promises: Iterable[Promise] = (),
        models: Labels | None = None,
        tenants: Labels | None = None,
    ) -> None:
        """`promises`: histograms have bounds there; `models`, `tenants`: values of these labels."""
        self.percentiles = Percentiles()
        """Of the last minutes."""
        self._requests = RequestMetrics(Bounds(promises))
        self._usage = UsageMetrics()
        self._models = models or Labels((), MAX_NAMES, scheduler.listed_as)
        self._tenants = tenants or Labels((), MAX_NAMES)
        self._caches: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._truncated: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._stages = stages or StageMetrics()
        self._left: deque[str] = deque()
        """Backends, by when they left."""
        self.goodput = Goodput()
        self._prompts = PromptMetrics()
        self._batches = Batches()
        self._scheduler = scheduler
        self._gauges = gauges
        self._now = now
        self.lint = lint
        """Of the prompts; None: nobody looks."""
        self._writer = Writer()
        self._process = CollectorRegistry(auto_describe=False)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)

    def count(self, record: Record) -> None:
        """Count one finished request."""
        self.goodput.count(record)
        self._stages.count(record)
        key = self._requests.count(record)
        if record.company is not None:
            self._batches.count(key, record.company, record)
        if record.cache:
            self._caches[record.traffic_class, record.cache] += 1
        if record.prompt_version:
            self._prompts.count(record)
        model = self._models.of(record.model)
        if record.truncated:
            self._truncated[record.backend, model, record.truncated] += 1
        self._usage.count(model, self._tenants.of(record.tenant), record)
        self._place(model, key[1], key[2], record)

    def meter(self, running: Iterable[Streaming]) -> None:
        """Count what streams that are not over have metered so far."""
        self._requests.meter(running)

    def know(self, models: Iterable[str], tenants: Iterable[str]) -> None:
        """Names that another configuration has."""
        self._models.know(models)
        self._tenants.know(tenants)

    def tally(self) -> Tally:
        """What a change of the configuration is judged by. Clients that left say nothing about it."""
        return Tally(*self._requests.ends(), *self.goodput.first_tokens())

    def left(self, backend: str) -> None:
        """It is configured no more. Its series stay, unless many have left since."""
        if backend in self._left:
            self._left.remove(backend)
        self._left.append(backend)
        if len(self._left) > _LEFT_MAX:
            forgotten = self._left.popleft()
            if all(view.name != forgotten for view in self._scheduler.backends(self._now())):
                self._requests.forget(forgotten)
                for key in [key for key in self._truncated if key[0] == forgotten]:
                    del self._truncated[key]
                self.percentiles.forget("backend", forgotten)

    def silent(self) -> dict[str, int]:
        """Generated answers by backend that told the tokens of the prompt and not those of them that were cached."""
        return self._requests.silent()

    def families(self) -> Iterator[Family]:
        """All series, read as they are asked for."""
        for _, families in self.sections():
            yield from families

    def sections(self) -> Iterator[tuple[str, Iterable[Family]]]:
        """The same, by when they are written."""
        now = self._now()
        told, counts = self._gauges(), self._scheduler.counts(now)
        yield AT_END, self._requests.families(counts.hedge_tokens, counts.retry_tokens)
        yield AT_END, self._usage.families()
        yield AT_END, truncated_families(self._truncated)
        yield AT_END, self._batches.families()
        yield AT_END, self.goodput.families()
        yield AT_END, self._stages.families()
        yield AT_END, self._prompts.families(told.prompt_assembly)
        yield AT_END, slo_families(told.slos)
        yield AT_END, percentile_families(self.percentiles.read(now))
        if told.telemetry is not None:
            yield AT_END, telemetry_families(told.telemetry)
        yield AT_DECISION, scheduler_families(self._scheduler, now, self._tenants, self._models)
        if self.lint is not None:
            yield AT_DECISION, prefix_families(self.lint, self._tenants)
        if told.cache is not None:
            yield AT_DECISION, cache_families(told.cache, self._caches)
        if told.owners is not None:
            yield AT_LOOK, owners_families(told.owners)
        if told.batches is not None:
            yield AT_LOOK, store_families(told.batches)
        if told.realtime is not None:
            yield AT_LOOK, realtime_families(told.realtime)
        yield AT_DECISION, edit_families(told)
        yield AT_LOOK, connection_families(told)
        yield AT_LOOK, process_families(told)
        if told.config_state is not None:
            yield AT_LOOK, told.config_state.families()
        yield AT_LOOK, self._process.collect()

    def pieces(self, *, is_open: bool) -> Iterator[str]:
        """The text of all of it, as it is read: one after the other, with time for others in between. `is_open`: in
        OpenMetrics."""
        return self._writer.pieces(self.families(), is_open=is_open)

    def _place(self, model: str, traffic_class: str, backend: str, record: Record) -> None:
        """Among those of the last minutes: what was served. Answers from memory are no merit of an engine, and count by
        themselves alone."""
        if record.outcome is not SERVED:
            return
        line, meter = record.timeline, record.meter
        received, first = line.received, meter.first_token
        done = received if line.done is None else line.done
        if record.is_from_memory:
            self.percentiles.add(_KEPT_HERE, None, None, done - received, None, done)
            return
        ttft_s = tpot_s = queue_s = None
        if first is not None:
            ttft_s, tpot_s = first - received, meter.tpot_s(record.usage.completion_tokens)
        if line.released is not None and line.understood is not None:
            queue_s = (line.released if line.gathered is None else line.gathered) - line.understood
        output = "constrained" if record.is_constrained else "free"
        key = traffic_class, model, backend, record.warmth, output
        self.percentiles.add(key, ttft_s, tpot_s, done - received, queue_s, done)
