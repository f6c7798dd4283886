"""Which backends are kept for those who wait for a first token, while bulk fills the others.

An engine computes prompts one after the other: behind a long one a chat's first token comes too late, whatever the
limits said of the moment before. Owns how much work promised first tokens ask for, how much bulk does, and how many of
the fastest backends follow from that: those that promises need as a whole, no more than their share where there is too
little for both, and never all. The next one is shared, within the limits; where there is enough for both and promises
need at least half of it, it is lent only to bulk that has waited a while. Bulk that disturbs nobody may go anywhere.
"""

from math import exp
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import NOWHERE, Demand

DEMAND_S: Final = 30.0
"""Memory of what was asked for, seconds."""
_LEAST: Final = 0.05
"""Backends needed below which none is kept."""
_SHARE_OF_SLACK: Final = 0.25
"""Bulk that takes less of the time that others have to spare disturbs nobody."""
_LEAST_SEEN_S: Final = 2.0
"""What came in less than that is a sample of so long."""
_LENT_FROM: Final = 0.5
"""Share of the next backend that promises must need for it to be lent only…"""
_LENT_AFTER: Final = 0.3
"""…to bulk that has waited for this share of its patience."""
_LOOK_S: Final = 1.0
_OFTEN: Final = 64
"""Backends up to which they are looked at so often; more than that more seldom, at the same cost."""
_FASTER: Final = 1.15
"""Two backends change places when one is so many times faster."""
_LEAST_TOKEN_S: Final = 1e-5
"""Of a backend's time that a token takes, whatever was learned."""
_PROMPT: Final = 4000.0
_ANSWER: Final = 100.0
_BESIDE: Final = 8.0
"""What speed is measured by: tokens of a prompt and of an answer, and requests that decode beside it."""


class Headroom:
    """Of the backends that can serve the same names."""

    __slots__ = ("_at", "_bulk", "_kept", "_lent", "_look_at", "_open", "_order", "_promised", "_since", "_slack_s")

    def __init__(self) -> None:
        self._promised = 0.0
        """Backends that promised first tokens keep busy."""
        self._bulk = 0.0
        self._at = 0.0
        self._since: float | None = None
        """When the first job came."""
        self._slack_s = 0.0
        """How long those with a promise can wait for others' prefills, smoothed."""
        self._order: list[Backend] = []
        """Fastest first."""
        self._open: tuple[Backend, ...] = ()
        self._kept: frozenset[Backend] = NOWHERE
        self._lent: frozenset[Backend] = NOWHERE
        """Those, and one that bulk gets when it has waited."""
        self._look_at = 0.0

    def home(self, demand: Demand, usable: tuple[Backend, ...]) -> Backend:
        """Where a job counts that waits for one of `usable`: bulk on the slowest of them, what was promised
        something on the fastest."""
        if usable is not self._open:
            self._look(usable, demand.now)
        return self._order[-1 if demand.bulk or demand.job.slo_ttft_s is None else 0]

    def asked(self, demand: Demand, backend: Backend) -> None:
        """A job came, for which `backend` was chosen, or is its `home`; it was looked at there."""
        if self._since is None:
            self._since = demand.now
        promised_s = None if demand.bulk else demand.job.slo_ttft_s
        fade = exp(min(0.0, self._at - demand.now) / DEMAND_S)
        self._promised *= fade
        self._bulk *= fade
        self._at = max(self._at, demand.now)
        needed = backends_needed(demand, backend) / DEMAND_S
        if promised_s is None:
            self._bulk += needed
            return
        self._promised += needed
        slack_s = max(0.0, promised_s / demand.ttft_margin - backend.forecast.cost)
        self._slack_s += 0.05 * (slack_s - self._slack_s) if self._slack_s else slack_s

    def bind(self, demand: Demand, usable: tuple[Backend, ...]) -> None:
        """Tell a bulk job where it had better not go."""
        if not self._promised or not self._bulk:
            return
        if demand.now >= self._look_at or usable is not self._open:
            self._look(usable, demand.now)
        demand.kept = self._kept if demand.waited > _LENT_AFTER * demand.patience_s else self._lent
        demand.kept_slack_s = _SHARE_OF_SLACK * self._slack_s

    def _look(self, usable: tuple[Backend, ...], now: float) -> None:
        if usable is not self._open:
            self._open = usable
            self._order = sorted(usable, key=lambda b: (speed_s(b), b.index))
        order = self._order
        for i in range(len(order) - 1):
            if speed_s(order[i]) > _FASTER * speed_s(order[i + 1]):
                order[i], order[i + 1] = order[i + 1], order[i]
        self._look_at = now + _LOOK_S * max(1.0, len(order) / _OFTEN)
        kept, lent = self._counts(now)
        self._kept, self._lent = frozenset(order[:kept]), frozenset(order[:lent])

    def _counts(self, now: float) -> tuple[int, int]:
        """How many of the fastest are kept, and the same with one that is lent."""
        seen_s = max(_LEAST_SEEN_S, now - (self._since or 0.0))
        scale = exp(min(0.0, self._at - now) / DEMAND_S) / (1.0 - exp(-seen_s / DEMAND_S))
        needed, bulk, count = self._promised * scale, self._bulk * scale, len(self._order)
        if needed < _LEAST or not bulk:
            return 0, 0
        most, lent = needed, needed + 1.0 - _LENT_FROM
        if needed + bulk > count:
            most = lent = count * needed / (needed + bulk)
        return min(count - 1, max(1, int(most))), min(count - 1, max(1, int(lent)))


def backends_needed(demand: Demand, backend: Backend) -> float:
    """Seconds of `backend` that the job takes: its prefill, and its share of the decoding steps when as many share
    them as seats and its promise allow."""
    base = backend.model.bare_step_s()
    token = max(_LEAST_TOKEN_S, backend.model.per_request_s(demand.prompt + demand.answer))
    seats, limit = backend.seats, demand.tpot_limit
    if limit is not None and limit > 1.2 * base:
        token = limit * token / (limit - base)
    if seats is not None:
        token = max(token, base / seats + token)
    return backend.forecast.cost + demand.answer * token


def speed_s(backend: Backend) -> float:
    """Seconds that a typical chat would take there."""
    model = backend.model
    prefill_s = model.base_s() + model.work_s(_PROMPT, _PROMPT * _PROMPT)
    step_s = model.step_s(_BESIDE, _BESIDE * _PROMPT)
    return max(1e-3, prefill_s) * model.slow + _ANSWER * step_s * model.slow_decode
