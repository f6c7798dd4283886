"""What the core shows of itself, as frozen values: for metrics, readiness and the start banner."""

from dataclasses import dataclass

from proxy.core.backend import Backend
from proxy.core.health import State


@dataclass(frozen=True, slots=True)
class BackendView:
    """One backend at one moment."""

    name: str
    pool: str
    in_flight: int
    permits: int | None
    """None: no bound of ours."""
    state: State
    ejected_until: float | None
    share: float
    """Slow start and pressure: the share of its usual traffic it gets."""
    failures_in_a_row: int
    busy: int
    """Answers so far that said "busy"."""
    models: frozenset[str] | None
    """Names served, aliases included; None: not known yet."""
    any_model: bool
    """Takes every name."""
    service_s: float | None
    """Smoothed seconds from dispatch to the last byte."""


@dataclass(frozen=True, slots=True)
class Counts:
    """`offered = finished + refused + cancelled + in_flight + held`."""

    offered: int
    finished: int
    refused: int
    cancelled: int
    in_flight: int
    held: int
    held_bytes: int
    retries: int
    retry_budget_left: int
    ejections: int


def backend_view(backend: Backend, now: float) -> BackendView:
    """The view of `backend` at `now`."""
    health = backend.health
    return BackendView(
        name=backend.name,
        pool=backend.spec.pool,
        in_flight=backend.in_flight,
        permits=backend.spec.max_concurrency,
        state=health.state,
        ejected_until=health.ejected_until,
        share=health.share_at(now),
        failures_in_a_row=health.failures_in_a_row,
        busy=backend.busy,
        models=backend.names if backend.known else None,
        any_model=backend.takes_any,
        service_s=backend.service_s,
    )
