"""Streams that fell silent in the middle: whether one is given up, for another backend to go on with it, or because its
own is gone.

Owns the limit, which is learned, and the question whether anybody could take over. A stream that nobody could take over
is waited for, to the configured limit; so is every stream whose text may not be continued, which others decide. But
nothing will come from an engine at whose port nothing listens any more (vLLM keeps its streams open when it is
stopped), or which was put to sleep.
"""

from collections.abc import Callable
from typing import Final

from proxy.core.fleet.demand import Demand
from proxy.core.fleet.health import HealthState
from proxy.core.jobs.attempt import Attempt
from proxy.core.route.forecasting import foresee
from proxy.core.route.limits import judge
from proxy.core.state import State

_TOKENS: Final = 20.0
"""Times the usual seconds per token without any token are silence,"""
_LEAST_S: Final = 2.0
"""but never less than these seconds."""


class Stalls:
    """One per scheduler."""

    def __init__(self, state: State) -> None:
        self._fleet = state.fleet
        self._books = state.learning
        self._router = state.router
        self._budget = state.budget
        self._dials = state.dials

    def gives_up(
        self, attempt: Attempt, silent_s: float, now: float, fits: Callable[[str], bool] | None, token_s: float
    ) -> bool:
        """Whether the stream of an attempt, without a token for so many seconds, should not be waited for. `token_s`:
        its own seconds per token until then; `fits`: whether the backend of that name could go on with the text, None:
        none may."""
        open_job, backend = attempt.open_job, attempt.backend
        if silent_s < _LEAST_S:
            return False
        model, ledger = backend.model, backend.ledger
        usual_s = model.step_s(ledger.decoding, ledger.kv)
        if backend.is_gone:  # or drains slowly: its own pace counts, too
            usual_s = max(usual_s, token_s)
        prefills_s = ledger.backlog(now)[0] * model.slow  # beside which an engine may decode nothing
        if silent_s < max(_LEAST_S, _TOKENS * usual_s) + prefills_s:
            return False
        if backend.is_gone:
            return True
        if fits is None or open_job.sent >= self._dials.tries or self._budget.left(now) < 1:
            return False
        if open_job.job.deadline is not None and now >= open_job.job.deadline:
            return False
        return self._somebody_could(attempt, self._books.demand(open_job, now), fits)

    def _somebody_could(self, attempt: Attempt, demand: Demand, fits: Callable[[str], bool]) -> bool:
        """Somebody else has room, and nobody has who could not go on: the router would not know to avoid it."""
        candidates = self._fleet.catalogue.find(attempt.open_job.job.model)
        if candidates is None:
            return False
        avoid, found = attempt.open_job.tried | {attempt.backend}, False
        for backend in self._router.free(candidates, demand, avoid):
            if backend in avoid or backend.health.state is not HealthState.HEALTHY:
                continue
            foresee(backend, demand)
            if not self._router.judges or judge(backend, demand) is None:
                if not fits(backend.name):
                    return False
                found = True
        return found
