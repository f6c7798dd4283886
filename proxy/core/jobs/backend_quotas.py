"""What attempts use of their backends' quotas: counted when one goes, settled when it ends.

Owns what each end means for a quota. What a quota is, and when it is used up, stands in `fleet.quota`.
"""

from proxy.core.fleet.demand import Demand
from proxy.core.fleet.fleet import Fleet
from proxy.core.fleet.quota import Quota, Spending
from proxy.core.jobs.attempt import Attempt
from proxy.model.commands import Finished, Remaining
from proxy.model.faults import DECLINED, NOT_REACHED, Fault


class BackendQuotas:
    """One per scheduler. Asked only where a backend has a quota, or an attempt has used some."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def sent(self, attempt: Attempt, quota: Quota, demand: Demand) -> None:
        """It goes now."""
        was_full = quota.is_full
        attempt.spending = quota.spend(demand.prompt, demand.answer_high, demand.now)
        self._fleet.quota_changed(attempt.backend, was_full)

    def served(self, attempt: Attempt, report: Finished, now: float) -> None:
        """It used what the engine's usage says, or as much as was expected; an error used no token."""
        spending = attempt.spending
        assert spending is not None
        if not report.ok:
            self._used(attempt, spending, 0.0, now)
            return
        prompt = spending.prompt if report.prompt_tokens is None else float(report.prompt_tokens)
        answer = spending.tokens - spending.prompt if report.output_tokens is None else float(report.output_tokens)
        self._used(attempt, spending, prompt + answer, now)

    def lost(self, attempt: Attempt, fault: Fault | None, now: float) -> None:
        """It ended otherwise; without a fault it was given up. One that was not received used nothing, one that was
        declined no token, and else the prompt and what was counted of the answer are used."""
        spending, quota = attempt.spending, attempt.backend.quota
        assert spending is not None
        assert quota is not None
        if fault is not None and fault.kind in NOT_REACHED:
            was_full = quota.is_full
            quota.unused(spending, now)
            self._fleet.quota_changed(attempt.backend, was_full)
        elif fault is not None and fault.kind in DECLINED:
            self._used(attempt, spending, 0.0, now)
        else:
            self._used(attempt, spending, spending.prompt + float(attempt.open_job.job.metered or 0), now)

    def heard(self, attempt: Attempt, said: Remaining, now: float) -> None:
        """The head of its answer says what is left."""
        backend = attempt.backend
        quota = backend.quota
        if quota is None:
            quota = backend.quota = Quota(None, None, now)
        was_full = quota.is_full
        quota.hear(said, attempt.spending, backend.in_flight - 1, now)
        self._fleet.quota_changed(backend, was_full)

    def _used(self, attempt: Attempt, spending: Spending, tokens: float, now: float) -> None:
        quota = attempt.backend.quota
        assert quota is not None
        was_full = quota.is_full
        quota.used(spending, tokens, now)
        self._fleet.quota_changed(attempt.backend, was_full)
