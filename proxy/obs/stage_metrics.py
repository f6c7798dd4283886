"""The stages of the pipeline around a model: how long they take, how often longer than they should, and what their
caches find.

Owns the labels: stages that are known or configured, and `other`. Requests are looked at whose client reports stages;
where there are budgets, all of them, for the stages that are measured here.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from proxy.model.histogram import Histogram, with_bounds
from proxy.model.timings import KNOWN, OTHER, OURS, TOTAL, UNATTRIBUTED, Reported, StageSettings
from proxy.obs.families import Family, Histograms, counters, gauges
from proxy.obs.labels import Labels
from proxy.obs.record import Record
from proxy.obs.structured_metrics import StructuredMetrics
from proxy.wire.server_timing import own_stages, reported_s

_BUILT_IN: Final = (OURS | {*KNOWN, TOTAL}) - {UNATTRIBUTED}


class StageMetrics:
    """One per proxy."""

    def __init__(self, stages: Mapping[str, StageSettings] | None = None, models: Labels | None = None) -> None:
        """`stages`: those of the configuration; `models`: values of that label."""
        self.structured = StructuredMetrics(models or Labels((), 0))
        """Of what post-processing there is here."""
        self._spent: dict[str, Histogram] = {}
        self._exceeded: dict[str, int] = {}
        self._found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._ignored: defaultdict[str, int] = defaultdict(int)
        self.configure(stages or {})

    def configure(self, stages: Mapping[str, StageSettings]) -> None:
        """Those of another configuration; what was counted stays."""
        self._names = _BUILT_IN | {*stages}
        self._budgets = {name: stage.budget for name, stage in stages.items() if stage.budget is not None}
        self._counts_all = bool(self._budgets)
        self._exceeded = dict.fromkeys(self._budgets, 0) | self._exceeded

    def count(self, record: Record) -> None:
        """One finished request."""
        line = record.timeline
        reported = line.reported
        if (reported is None and not self._counts_all) or line.understood is None or line.done is None:
            return
        ours = own_stages(line, record.meter, line.done)
        for name, spent in ours.items():
            self._observe(name, spent)
        client_s = 0.0
        if reported is not None:
            client_s = reported_s(reported)
            self.report(reported)
        if TOTAL in self._budgets:
            self._budget(TOTAL, line.done - line.received + client_s)

    def report(self, reported: Reported) -> None:
        """What a client says, in its request or afterwards."""
        for name, stage in reported.stages.items():
            label = name if name in self._names else OTHER
            self._observe(label, stage.ms / 1e3)
            if stage.lookups:
                found = self._found[label]
                found[0] += stage.hits
                found[1] += stage.lookups
        for why, times in reported.ignored.items():
            self._ignored[why] += times

    def families(self) -> Iterator[Family]:
        """All series of it."""
        yield Histograms(
            "tidegate_stage_seconds",
            "Time that requests spent in a stage of their pipeline, as their client reports it or as measured here.",
            ("stage",),
            [((name,), histogram) for name, histogram in self._spent.items()],
        )
        yield gauges(
            "tidegate_stage_budget_seconds",
            "What a stage should take at most (stages).",
            ("stage",),
            [((name,), budget) for name, budget in self._budgets.items()],
        )
        yield counters(
            "tidegate_stage_budget_exceeded",
            "Requests in which a stage took longer than its budget.",
            ("stage",),
            [((name,), float(times)) for name, times in self._exceeded.items()],
        )
        yield counters(
            "tidegate_stage_cache_lookups",
            "Looks into the cache of a stage that a client reports, by result (hit, miss).",
            ("stage", "result"),
            [
                ((name, result), float(times))
                for name, (hits, lookups) in self._found.items()
                for result, times in (("hit", hits), ("miss", lookups - hits))
            ],
        )
        yield gauges(
            "tidegate_stage_cache_hit_ratio",
            "Share of those that were hits, since the start.",
            ("stage",),
            [((name,), hits / lookups) for name, (hits, lookups) in self._found.items()],
        )
        yield counters(
            "tidegate_stage_entries_ignored",
            "Entries of stage reports that said nothing sensible, by why.",
            ("reason",),
            [((why,), float(times)) for why, times in self._ignored.items()],
        )
        yield from self.structured.families()

    def _observe(self, name: str, seconds: float) -> None:
        spent = self._spent.get(name)
        if spent is None:
            spent = self._spent[name] = Histogram(with_bounds(self._budgets.get(name)))
        spent.observe(seconds)
        self._budget(name, seconds)

    def _budget(self, name: str, seconds: float) -> None:
        budget = self._budgets.get(name)
        if budget is not None and seconds > budget:
            self._exceeded[name] += 1
