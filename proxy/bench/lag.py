"""How late the load generator itself is, and whether it was the bottleneck.

Owns the ticks by which its loop is watched, and the rule by which it says that its numbers are not to be trusted.
"""

import asyncio
from time import monotonic, process_time
from typing import Final

from ddsketch import DDSketch

from proxy.bench.run_file import Client

TICK_S: Final = 0.01
CPU_MAX: Final = 0.9
"""Share of a core from which on it is busy."""
LAG_MAX_MS: Final = 10.0
"""A 99th percentile above it is late."""
_LEAST_S: Final = 0.5
"""A shorter cell says nothing of its load generator."""
_ACCURACY: Final = 0.02
_ROUNDING_S: Final = 0.0011
"""Timers of a loop are whole milliseconds, upwards."""


class LagWatch:
    """One per cell: `start`, then `told` at the end."""

    def __init__(self) -> None:
        self._lags, self._lates = DDSketch(_ACCURACY), DDSketch(_ACCURACY)
        self._worst_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._since = self._cpu = 0.0
        self.events = 0
        """Pieces of output that came."""
        self.last_ms = 0.0

    def start(self) -> None:
        """From now on; what was counted before is forgotten."""
        self.stop()
        self._lags, self._lates, self._worst_s, self.events = DDSketch(_ACCURACY), DDSketch(_ACCURACY), 0.0, 0
        self._since, self._cpu = monotonic(), process_time()
        self._next()

    def stop(self) -> None:
        """No more ticks."""
        if self._timer is not None:
            self._timer.cancel()

    def sent(self, late_s: float) -> None:
        """A request went out so late."""
        self._lates.add(max(0.0, late_s) * 1e3)

    def told(self) -> Client:
        """What was seen since `start`."""
        took = max(1e-9, monotonic() - self._since)
        cpu = (process_time() - self._cpu) / took
        lag_p99, late_p99 = _quantile(self._lags, 0.99), _quantile(self._lates, 0.99)
        why = why_bottleneck(cpu, lag_p99) if took >= _LEAST_S else ""
        return Client(
            lag_p50_ms=_quantile(self._lags, 0.5),
            lag_p99_ms=lag_p99,
            lag_max_ms=round(self._worst_s * 1e3, 3),
            late_p99_ms=late_p99,
            cpu=round(cpu, 3),
            events_per_s=round(self.events / took, 1),
            bottleneck=bool(why),
            why=why,
        )

    def _next(self) -> None:
        self._due = monotonic() + TICK_S
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        late = max(0.0, monotonic() - self._due - _ROUNDING_S)
        self.last_ms = late * 1e3
        self._lags.add(self.last_ms)
        self._worst_s = max(self._worst_s, late)
        self._next()


def why_bottleneck(cpu: float, lag_p99_ms: float) -> str:
    """Empty: it was none."""
    if cpu >= CPU_MAX:
        return f"the load generator used {cpu:.0%} of a core: it, too, was at its limit"
    if lag_p99_ms > LAG_MAX_MS:
        return (
            f"the load generator's loop was late by {lag_p99_ms:.0f} ms (P99) at {cpu:.0%} of a core:"
            " this machine has too little left for it"
        )
    return ""


def _quantile(sketch: DDSketch, share: float) -> float:
    value = sketch.get_quantile_value(share)
    return 0.0 if value is None else round(float(value), 3)
