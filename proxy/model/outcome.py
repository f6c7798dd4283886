"""The one ending of a job, and its two letters."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from proxy.model.faults import Fault, Kind, Source


class Verdict(StrEnum):
    """The four ways to end. `offered = served + shed + failed + cancelled`. Closed: also a metric label."""

    SERVED = "served"
    SHED = "shed"
    """Refused by us before any backend worked on it."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    """The client left."""


class Phase(StrEnum):
    """How far a request had come."""

    READ = "R"
    """Read and understood; what is wrong with a request itself counts here, wherever it is found."""
    QUEUE = "Q"
    """Held: wanted, and not yet given to a backend."""
    HEAD = "H"
    STREAM = "S"


_WHO: Final = {Source.DOWNSTREAM: "C", Source.UPSTREAM: "U", Source.INTERNAL: "P"}
_SHED: Final = frozenset(
    {
        Kind.QUEUE_FULL,
        Kind.QUOTA,
        Kind.HOLD_TIMEOUT,
        Kind.NO_BACKEND,
        Kind.CONNECTIONS,
        Kind.MEMORY,
        Kind.DRAINING,
    }
)
_LEFT: Final = frozenset({Kind.LEFT, Kind.WRITE_STALL})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    `end_code` is who (`C`lient, `U`pstream, `P`roxy, `-`) and in which phase (`R`ead, `Q`ueue, `H`ead wait, `S`tream):
    `CR` a request that is wrong, `CQ` the client left while held and nothing else, `UH` the backend died before its
    first byte, `PQ` shed.
    """

    verdict: Verdict
    end_code: str
    fault: Fault | None = None


SERVED: Final = Outcome(Verdict.SERVED, "--")
TUNNELLED: Final = Outcome(Verdict.SERVED, "--")
"""A WebSocket that was open for as long as its ends liked: how long tells of no speed."""
UNFINISHED: Final = Outcome(Verdict.SERVED, "US")
"""The client has the whole text, but the engine left its stream without the `[DONE]` that its kind sends."""


def failed_with(fault: Fault, phase: Phase) -> Outcome:
    """The Outcome of a job that ended with `fault` in `phase`."""
    if fault.kind in _LEFT:
        verdict = Verdict.CANCELLED
    elif fault.kind in _SHED:
        verdict = Verdict.SHED
    else:
        verdict = Verdict.FAILED
        if fault.source is Source.DOWNSTREAM and phase is Phase.QUEUE:  # asked for what nobody has: no wait ended
            phase = Phase.READ
    return Outcome(verdict, _WHO[fault.source] + phase.value, fault)
