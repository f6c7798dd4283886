"""What a viewer knows of one proxy: its status as the events made it, and the last minutes of a few numbers.

Owns the bounds: what is watched for hours takes no more than what is watched for minutes.
"""

from collections import deque
from collections.abc import Mapping
from copy import copy
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from proxy.obs.merge_patch import patched
from proxy.report.screen.words import amount, inner, number, objects

SAMPLES: Final = 300
"""Of each number: five minutes at one a second."""
MOST_CLASSES: Final = 64
"""Of which a past is kept."""
MOST_DECISIONS: Final = 200
_LISTS: Final = ("decisions", "notable")
_STEPS: Final = (1, 2, 5, 10, 15, 20, 30)
"""Samples that may stand in one column of a chart."""


class Ring:
    """The last samples of one number; None: there was none."""

    __slots__ = ("_taken", "_values")

    def __init__(self) -> None:
        self._values: deque[float | None] = deque(maxlen=SAMPLES)
        self._taken = 0

    def add(self, value: float | None) -> None:
        """The newest one."""
        self._values.append(value)
        self._taken += 1

    def columns(self, most: int) -> list[float | None]:
        """The largest of each step, the oldest first; steps stay where they are while samples come."""
        if most < 1 or not self._values:
            return []
        step = next((one for one in _STEPS if len(self._values) <= one * most), -(-SAMPLES // most))
        found: dict[int, float | None] = {}
        for at, value in enumerate(self._values, self._taken - len(self._values)):
            known = found.get(at // step)
            found[at // step] = value if known is None else known if value is None else max(known, value)
        return list(found.values())[-most:]


class Trend(NamedTuple):
    """Of one class."""

    ttft: Ring
    """95th percentiles."""
    tpot: Ring


class Watched:
    """One per viewer; `take` its events in order."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        """A whole status; empty: nothing was told yet."""
        self.trends: dict[str, Trend] = {}
        self.throughput, self.goodput = Ring(), Ring()
        """Output tokens per second, of all classes together."""

    def still(self) -> "Watched":
        """As it is now; of what comes only charts hear."""
        return copy(self)

    def take(self, event: str, data: Mapping[str, Any]) -> bool:
        """Whether it changed anything: a change before the first status does not."""
        if event == "status":
            self._whole(dict(data))
        elif event == "change" and self.document:
            self._change(data)
        else:
            return False
        self._sample()
        return True

    def _whole(self, status: dict[str, Any]) -> None:
        past = status.pop("past", None)
        if status.get("instance") != self.document.get("instance"):
            self.trends.clear()
        if past is not None:
            self._remember(past)
        self.document = {**status, **{name: objects(status.get(name))[:MOST_DECISIONS] for name in _LISTS}}

    def _change(self, change: Mapping[str, Any]) -> None:
        lists = {name: _newest_first(objects(change.get(name)), self.document[name]) for name in _LISTS}
        rest = {name: value for name, value in change.items() if name not in _LISTS}
        self.document = {**patched(self.document, rest), **lists}

    def _remember(self, past: object) -> None:
        """What the proxy kept of the time before this viewer came."""
        self.throughput, self.goodput = Ring(), Ring()
        classes = [inner(past, name) for name in inner(past)]
        step_s = max((int(amount(one.get("step_s"))) for one in classes), default=0)
        for ring, name in ((self.throughput, "tokens_per_s"), (self.goodput, "good_tokens_per_s")):
            series = [one.get(name) for one in classes]
            for at_once in zip_longest(*[one[-SAMPLES:] for one in series if isinstance(one, list)]):
                for _ in range(min(step_s, SAMPLES)):
                    ring.add(sum(map(amount, at_once)))

    def _sample(self) -> None:
        classes = inner(self.document, "classes")
        self.throughput.add(total(classes, "tokens_per_s"))
        self.goodput.add(total(classes, "good_tokens_per_s"))
        for gone in self.trends.keys() - classes.keys():
            del self.trends[gone]
        for name in classes:
            if name not in self.trends and len(self.trends) < MOST_CLASSES:
                self.trends[name] = Trend(Ring(), Ring())
            if name in self.trends:
                self.trends[name].ttft.add(number(inner(classes, name, "ttft_s").get("p95")))
                self.trends[name].tpot.add(number(inner(classes, name, "tpot_s").get("p95")))


def _newest_first(fresh: list[Mapping[str, Any]], known: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    last = amount(known[0].get("seq")) if known else 0.0
    return [*[one for one in fresh if amount(one.get("seq")) > last], *known][:MOST_DECISIONS]


def total(classes: Mapping[str, Any], name: str) -> float:
    """Over all classes."""
    return sum(amount(inner(classes, one).get(name)) for one in classes)
