"""Answers that must have a form, by model and by what was found of them.

Models are labels only as far as they are known: an engine may take any name.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from proxy.model.histogram import Histogram
from proxy.model.structured import Verdict
from proxy.obs.families import Family, Histograms, counters
from proxy.obs.labels import Labels


class StructuredMetrics:
    """One per proxy."""

    def __init__(self, models: Labels) -> None:
        """`models`: values of that label."""
        self._models = models
        self._verdicts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._repairs: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._spent = Histogram()

    def know(self, models: Iterable[str]) -> None:
        """Names that another configuration has."""
        self._models.know(models)

    def found(self, model: str, verdict: Verdict, spent_s: float) -> None:
        """One answer was looked at."""
        self._verdicts[self._models.of(model), verdict.value] += 1
        self._spent.observe(spent_s)

    def repaired(self, model: str, result: str) -> None:
        """One was asked for again: `repaired`, `failed`, or `no_budget`: it was not."""
        self._repairs[self._models.of(model), result] += 1

    def families(self) -> Iterator[Family]:
        """All series of it."""
        yield counters(
            "tidegate_structured_answers",
            "Answers of classes that validate and that must have a form, by model and what was found of them.",
            ("model", "verdict"),
            [(key, float(times)) for key, times in self._verdicts.items()],
        )
        yield counters(
            "tidegate_structured_repairs",
            "Wrong ones that were asked for once more, by result (repaired, failed), or were not (no_budget).",
            ("model", "result"),
            [(key, float(times)) for key, times in self._repairs.items()],
        )
        yield Histograms(
            "tidegate_structured_check_seconds",
            "Time that a check took, from the answer to what was found.",
            (),
            [((), self._spent)],
        )
