"""Where one request could go without breaking a promise, read from the modelled engines from inside.

Owns that rule, for the references that follow it and for the report, which asks it whether a refusal was right.
"""

from collections.abc import Iterable, Sequence
from math import inf, sqrt
from typing import NamedTuple

from proxy.report.run import Result
from proxy.sim.world.modelled_backend import ModelledBackend
from proxy.sim.world.oracle import Inside, OracleForecast
from proxy.workload.arrival import Arrival

CARE = 0.97
"""Promises are kept with this much to spare, for what the arithmetic leaves out."""
OWN_WORK = 2.0
"""A second of own prefill counts as so many: a cached prefix is worth more than an empty queue."""
TIE_S = 1e-3
"""A request that is there counts as so much faster an engine."""


_SMALLEST = Arrival(0.0, 1, 1)


class _Guard(NamedTuple):
    """A resident that was promised something."""

    result: Result
    end: int
    """As that of `Resident`."""
    decoding: bool
    allowed_s: float
    """From its first token to its last."""
    e2e_s: float


class _View:
    """One engine as it stands, and who there must not be hurt, those first who have the least to spare."""

    __slots__ = ("guards", "inside")

    def __init__(self, inside: Inside, results: Sequence[Result], now: float) -> None:
        self.inside = inside
        self.guards: list[_Guard] = []
        for one in inside.residents:
            result = results[one.id]
            slo = result.arrival.slo
            paced = slo.tpot_s is not None and one.output_tokens > 1
            if paced or slo.e2e_s is not None:
                allowed = (slo.tpot_s or 0.0) * (one.output_tokens - 1) if paced else inf
                e2e = inf if slo.e2e_s is None else slo.e2e_s
                self.guards.append(_Guard(result, one.end, one.decoding, allowed, e2e))
        step_s, at_step = inside.outlook(_SMALLEST).step_s, inside.at_step
        self.guards.sort(key=lambda guard: _spare_s(guard, step_s, at_step, now))


class Placement:
    """Knows what has become of every request so far (`results`, by job id)."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = results
        self._views: dict[str, _View] = {}

    def best(self, arrival: Arrival, servers: Iterable[ModelledBackend], now: float) -> ModelledBackend | None:
        """The cheapest engine that would keep this promise and everybody's there; None: there is none."""
        found: list[tuple[float, int, ModelledBackend, OracleForecast]] = []
        for server in servers:
            if server.down or server.full or arrival.context_tokens > server.engine.spec.max_model_len:
                continue
            outlook = self._view(server, now).inside.outlook(arrival)
            if _in_time(arrival, outlook, now):
                found.append((_cost(arrival, outlook), len(found), server, outlook))
        found.sort()
        for _, _, server, outlook in found:
            if self._spares(server, outlook, now):
                return server
        return None

    def _view(self, server: ModelledBackend, now: float) -> _View:
        view = self._views.get(server.name)
        if view is None or not view.inside.still_right(server.engine, now):
            view = self._views[server.name] = _View(Inside(server.engine, now), self._results, now)
        return view

    def takes_any(self, server: ModelledBackend, now: float) -> bool:
        """Whether the smallest request of all would hurt nobody there: else no other one need be asked about."""
        if server.down or server.full:
            return False
        outlook = self._view(server, now).inside.outlook(_SMALLEST)
        return outlook.fits and self._spares(server, outlook, now)

    def _spares(self, server: ModelledBackend, outlook: OracleForecast, now: float) -> bool:
        """Whether all residents that would have kept their promise still do."""
        view = self._views[server.name]
        step_s, steps, at_step = outlook.step_s, outlook.steps, view.inside.at_step
        prefill_s, own_s = outlook.prefill_s, outlook.own_s
        for result, end, decoding, allowed_s, e2e_s in view.guards:
            left, first = (end - at_step, prefill_s) if decoding else (end, own_s)
            alone = left * step_s
            rest = alone + (first if left >= steps else first * left / steps)
            if allowed_s < inf:
                begun = result.first_token_at
                so_far = 0.0 if begun is None else now - begun
                if so_far + alone <= allowed_s < (so_far + rest) / CARE:
                    return False
            if e2e_s < inf:
                waited = now - result.arrival.at + (0.0 if decoding else prefill_s - own_s)
                if waited + alone <= e2e_s < (waited + rest) / CARE:
                    return False
        return True


def _spare_s(guard: _Guard, step_s: float, at_step: int, now: float) -> float:
    """Seconds that it can be kept waiting; whoever cannot be saved has endless time."""
    rest_s = (guard.end - at_step if guard.decoding else guard.end) * step_s
    begun = guard.result.first_token_at
    so_far = 0.0 if begun is None else now - begun
    spare = min(guard.allowed_s - so_far, guard.e2e_s - (now - guard.result.arrival.at)) - rest_s
    return spare if spare >= 0.0 else inf


def _in_time(arrival: Arrival, outlook: OracleForecast, now: float) -> bool:
    """Whether its own promise would be kept."""
    slo, first = arrival.slo, now - arrival.at + outlook.ttft_s
    return (
        outlook.fits
        and (slo.ttft_s is None or first <= CARE * slo.ttft_s)
        and (slo.tpot_s is None or arrival.output_tokens < 2 or outlook.step_s <= CARE * slo.tpot_s)
        and (slo.e2e_s is None or first + arrival.output_tokens * outlook.step_s <= CARE * slo.e2e_s)
    )


def _cost(arrival: Arrival, outlook: OracleForecast) -> float:
    """What has a first token to wait for goes where that comes soonest for the work; anything else to the slowest
    engine that will do, so that the fast ones stay free."""
    if arrival.slo.ttft_s is None:
        return -outlook.own_s + TIE_S * outlook.there
    return (outlook.ttft_s + (OWN_WORK - 1) * outlook.own_s) * sqrt(1 + outlook.there)
