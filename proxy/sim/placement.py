"""Where one request could go without breaking a promise, read from the modelled engines from inside.

Owns that rule, for the reference that follows it and for the report, which asks it whether a refusal was right.
"""

from collections.abc import Iterable, Sequence
from math import inf, sqrt

from proxy.sim.arrival import Arrival
from proxy.sim.modelled_backend import ModelledBackend
from proxy.sim.outlook import Outlook, Resident, outlook
from proxy.sim.played import Result

CARE = 0.97
"""Promises are kept with this much to spare, for what the arithmetic leaves out."""
OWN_WORK = 2.0
"""A second of own prefill counts as so many: a cached prefix is worth more than an empty queue."""
TIE_S = 1e-3
"""A request that is there counts as so much faster an engine."""


class Placement:
    """Knows what has become of every request so far (`results`, by job id)."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = results

    def best(self, arrival: Arrival, servers: Iterable[ModelledBackend], now: float) -> ModelledBackend | None:
        """The cheapest engine that would keep this promise and everybody's there; None: there is none."""
        best, least = None, inf
        for server in servers:
            if server.down or server.full or arrival.context_tokens > server.engine.spec.max_model_len:
                continue
            view = outlook(server.engine, arrival, now)
            cost = _cost(arrival, view)
            if cost < least and self._keeps_promises(arrival, view, now):
                best, least = server, cost
        return best

    def _keeps_promises(self, arrival: Arrival, view: Outlook, now: float) -> bool:
        slo, first = arrival.slo, now - arrival.at + view.ttft_s
        late = (
            not view.fits
            or (slo.ttft_s is not None and first > CARE * slo.ttft_s)
            or (slo.tpot_s is not None and arrival.output_tokens > 1 and view.step_s > CARE * slo.tpot_s)
            or (slo.e2e_s is not None and first + arrival.output_tokens * view.step_s > CARE * slo.e2e_s)
        )
        return not late and all(self._spared(one, view, now) for one in view.residents())

    def _spared(self, resident: Resident, view: Outlook, now: float) -> bool:
        """Whether a resident that would have kept its promise still does."""
        result = self._results[resident.id]
        slo, rest, alone = result.arrival.slo, view.rest_s(resident), resident.left * view.step_s
        if slo.tpot_s is not None and resident.output_tokens > 1:
            so_far = 0.0 if result.first_token_at is None else now - result.first_token_at
            allowed = slo.tpot_s * (resident.output_tokens - 1)
            if so_far + alone <= allowed < (so_far + rest) / CARE:
                return False
        if slo.e2e_s is None:
            return True
        waited = now - result.arrival.at + (0.0 if resident.decoding else view.prefill_s - view.own_s)
        return not waited + alone <= slo.e2e_s < (waited + rest) / CARE


def _cost(arrival: Arrival, view: Outlook) -> float:
    """What has a first token to wait for goes where that comes soonest for the work; anything else to the slowest
    engine that will do, so that the fast ones stay free."""
    there = len(view.there.pending) + len(view.there.decoding)
    if arrival.slo.ttft_s is None:
        return -view.own_s + TIE_S * there
    return (view.ttft_s + (OWN_WORK - 1) * view.own_s) * sqrt(1 + there)
