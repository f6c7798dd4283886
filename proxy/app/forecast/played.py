"""Traffic before fleets that do not exist: what `plan` and `tune` ask of the simulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.app.contenders import UsageError
from proxy.model.classes import BULK_CLASS
from proxy.sim.world.cluster import EngineEntry, read_calibration, read_engines
from proxy.sim.world.slo import SloRules, promised
from proxy.workload.arrival import Arrival
from proxy.workload.traces import Trace, read_trace

_BULK_SHARE = 0.8
"""Where a trace names no bulk: the prompts above this share of them are."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What came."""

    trace: Trace
    arrivals: Sequence[Arrival]
    bulk_from: int | None
    """Prompt tokens from which a request is bulk; None: the trace says which are."""


def traffic_of(path: Path, rules: SloRules, speed: float = 1.0, limit: int | None = None) -> Traffic:
    """With its promises. Raises TraceError."""
    trace = read_trace(path, speed=speed, limit=limit)
    arrivals = promised(trace.arrivals, rules)
    if any(arrival.traffic_class == BULK_CLASS for arrival in arrivals):
        return Traffic(trace, arrivals, None)
    sizes = sorted(arrival.prompt_tokens for arrival in arrivals)
    return Traffic(trace, arrivals, sizes[int(_BULK_SHARE * len(sizes))])


def kinds_of(text: str) -> dict[str, EngineEntry]:
    """Kinds of engines by name, each once. Raises ClusterError; UsageError for a name that stands for two of them."""
    found: dict[str, EngineEntry] = {}
    for entry in read_engines(text):
        name = entry.name or entry.backend or entry.preset
        kind = entry.model_copy(update={"backend": None, "name": name, "count": 1})
        if found.setdefault(name, kind) != kind:
            raise UsageError(f"--engines: two kinds are called {name}; give them names, in a file")
    return found


def error_of(text: str) -> float | None:
    """How far the engines of this line or file are off on held-out time; None: nobody calibrated them."""
    calibration = read_calibration(text)
    return None if calibration is None else calibration.error


def said_of_error(text: str) -> str:
    """For people."""
    error = error_of(text)
    if error is None:
        return "error: not known, these engines were not calibrated (tidegate calibrate)"
    return f"error: the engines are at most {error:.1%} off on held-out time"
