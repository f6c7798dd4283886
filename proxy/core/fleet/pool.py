"""Backends that are configured as alike: what they learn together, whether their predictions may refuse anybody, and
how busy they are as a whole.

Owns the gate from shadow to enforcement, the count of what it let pass, and the utilisation of the pool.
"""

from math import exp, sqrt
from typing import Final

from proxy.core.learn.cost_model import PoolModel
from proxy.core.learn.first_byte import FirstByteTimes
from proxy.model.commands import Reason

_MOST_HIGH: Final = 0.4
"""Truth ÷ prediction, median: below it predictions are too high, and what they refuse is refused falsely. Predictions
that are too low refuse too little, which is no reason to refuse nothing: overload itself makes them low for a while."""
_GROSS: Final = 1.5
"""A first token predicted so many times too late is, as soon as a fifth of the predictions needed were checked and the
median of them was not so far too high."""
_OWN: Final = 0.2
"""Share of the checked predictions that must be a pool's own, where others have the rest: the same method predicts for
all of them, and while one enforces and the next does not, what is refused here is late there."""
_SOUND: Final = 0.8
"""Truth ÷ prediction, median: predictions that are no higher, and not far off either, have proven themselves with a
fifth of the samples. What they would refuse would be late, and waiting for the rest loses the first minute to a
queue."""
_PROBES: Final = 200
"""Probes after which a bad share of false refusals closes the gate."""
_FALSE_SHARE: Final = 0.5
_HELD: Final = 0.8
"""Quantile of what the first tokens of held requests need beyond their prediction…"""
_OVERRUN_STEP_S: Final = 0.01
"""…which each of them moves by up to so much…"""
_MOST_OVERRUN_S: Final = 1.0
"""…to no more than this."""
_LOAD_S: Final = 60.0
"""Memory of arrivals and of work, seconds."""
MAX_WAIT_S: Final = 600.0


class Checks:
    """What all pools together have checked."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Pool:
    """Shared by its backends."""

    __slots__ = (
        "_arrivals",
        "_at",
        "_checks",
        "_judged",
        "_work_s",
        "alarms",
        "arrivals",
        "backends",
        "first_byte_times",
        "model",
        "name",
        "overrun_s",
        "probes",
        "probes_good",
        "shadow",
        "telling",
        "trusted",
    )

    def __init__(self, name: str, checks: Checks | None = None) -> None:
        self.name = name
        self._checks = checks or Checks()
        self.backends = 0
        self.model = PoolModel()
        self.first_byte_times = FirstByteTimes()
        self.overrun_s = 0.0
        """By so much the first tokens of those that were held come later than predicted, the margin included: the .8
        quantile, seconds. They go at the last moment, so that every error is a broken promise."""
        self.trusted = False
        """Predictions have proven themselves."""
        self.telling = False
        """They have for what is grossly late."""
        self.probes = self.probes_good = 0
        """Would-be refusals sent after all, and those of them that kept every promise."""
        self.alarms = 0
        """Times that refusals proved false."""
        self.shadow: dict[Reason, int] = {}
        """What would have been refused while nothing was."""
        self._judged = [0, 0]
        self._at = 0.0
        self._arrivals = self._work_s = 0.0

    def review(self, min_samples: int, early_error: float = 0.0) -> None:
        """A prediction was checked: open or close the gate. A fifth of the samples is enough for a mean error, relative
        to the truth, below `early_error`."""
        self._checks.count += 1
        calibration = self.model.calibration
        needed = min_samples  # after an alarm all of them its own
        if not self.alarms and self._checks.count >= min_samples:
            needed = int(_OWN * min_samples)
        least = _MOST_HIGH / 2 if self.trusted else _MOST_HIGH
        few = not self.alarms and calibration.samples >= _OWN * min_samples
        median = calibration.factors[0]
        good = few and median >= _SOUND and calibration.error < early_error
        self.trusted = good or (calibration.samples >= needed and median >= least)
        self.telling = few and median >= 1.0 / _GROSS

    def overran(self, over_s: float) -> None:
        """The first token of one that was held came by so much later than predicted, or sooner."""
        step = _HELD if over_s > self.overrun_s else _HELD - 1.0
        self.overrun_s = min(_MOST_OVERRUN_S, max(0.0, self.overrun_s + _OVERRUN_STEP_S * step))

    def recalled(self) -> None:
        """Predictions were checked in an earlier life."""
        self._checks.count += self.model.calibration.samples

    def tells_late(self, ttft_s: float, left_s: float) -> bool:
        """Whether a first token predicted after `ttft_s`, with `left_s` seconds left for it, is late for all that is
        known."""
        return self.telling and ttft_s > _GROSS * left_s

    def learning(self, min_samples: int) -> bool:
        """Whether predictions are being checked, and have not been often enough."""
        return 0 < self.model.calibration.samples < min_samples

    def probed(self, kept: bool) -> None:
        """A probe ended. When most would have been served well, the predictions are wrong: learn again."""
        self.probes += 1
        self.probes_good += kept
        judged = self._judged
        judged[0] += 1
        judged[1] += kept
        if judged[0] >= _PROBES:
            if judged[1] > _FALSE_SHARE * judged[0]:
                self.alarms += 1
                self.trusted = self.telling = False
                self.model.calibration.samples = 0
            self._judged = [0, 0]

    def arrived(self, work_s: float, now: float) -> None:
        """A job that may go here: the backend seconds it is predicted to take."""
        fade = exp(min(0.0, self._at - now) / _LOAD_S)
        self._arrivals = self._arrivals * fade + 1.0 / _LOAD_S
        self._work_s = self._work_s * fade + work_s / _LOAD_S
        self._at = max(self._at, now)

    def utilisation(self, now: float) -> float:
        """Load ÷ capacity: backend seconds asked for per second, per backend."""
        return self._work_s * exp(min(0.0, self._at - now) / _LOAD_S) / max(1, self.backends)

    def predicted_wait_s(self, now: float) -> float:
        """What utilisation means for a newcomer, by Sakasegawa's formula for so many servers; at most ten minutes."""
        rho, servers = self.utilisation(now), max(1, self.backends)
        if not self._arrivals or not rho:
            return 0.0
        if rho >= 1.0:
            return MAX_WAIT_S
        service_s = self._work_s / self._arrivals
        return float(min(MAX_WAIT_S, service_s / servers * rho ** (sqrt(2 * (servers + 1)) - 1) / (1 - rho)))
