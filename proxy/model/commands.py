"""What the scheduler says (commands) and what it is told (reports)."""

from dataclasses import dataclass

from proxy.model.faults import Fault


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send the job to this backend now; the permit is taken."""

    job_id: int
    backend: str
    attempt: int
    """1 for the first."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The job is over; tell the client why."""

    job_id: int
    fault: Fault


Command = Dispatch | Refuse


@dataclass(frozen=True, slots=True)
class Finished:
    """The backend answered to the last byte (an answer of its own with a 4xx status included)."""

    job_id: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed. `repeatable`: no byte has reached the client and sending it again is safe."""

    job_id: int
    fault: Fault
    repeatable: bool


@dataclass(frozen=True, slots=True)
class FirstByte:
    """The backend began to answer."""

    job_id: int


@dataclass(frozen=True, slots=True)
class Probed:
    """An active probe ended. `models`: names listed; None when the engine answers but does not list any."""

    backend: str
    ok: bool
    models: frozenset[str] | None = None


Report = Finished | Failed | FirstByte | Probed
