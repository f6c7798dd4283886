"""When an attempt that has not begun to answer is looked at, for jobs that may be sent to a second backend.

Owns the timers. What is late is learned in `first_byte_times`, what follows from it is decided in `hedging`.
"""

from typing import Final

from proxy.core.dials import Dials
from proxy.core.jobs.open_job import OpenJob
from proxy.core.learn.first_byte import FirstByteTimes
from proxy.core.timers import Timers
from proxy.model.hedge import Hedge

_SOONEST_S: Final = 0.02
"""No attempt is late before: less cannot be won by computing a prompt twice."""


class HedgeTimers:
    """One per scheduler."""

    def __init__(self, dials: Dials) -> None:
        self._dials = dials
        self.timers = Timers()
        """By job."""

    def watch(self, open_job: OpenJob, now: float) -> None:
        """The only attempt of a job is out, and may be followed by another one."""
        rule, (attempt,) = open_job.job.hedge, open_job.attempts
        entry = attempt.entry
        if rule is None or entry.bulk or open_job.sent >= self._dials.tries:
            return
        limit_s = late_after_s(
            rule, attempt.backend.pool.first_byte_times, entry.prompt, entry.streams, entry.first_byte_s
        )
        if limit_s is not None:
            self.timers.set(open_job.job.id, max(now, entry.dispatched + limit_s))

    def again(self, open_job: OpenJob, now: float) -> None:
        """Late, and nothing could be done: look again when as much time has passed once more."""
        self.timers.set(open_job.job.id, now + max(_SOONEST_S, now - open_job.attempts[0].entry.dispatched))

    def forget(self, open_job: OpenJob) -> None:
        """It began to answer, or is over."""
        if open_job.job.hedge is not None:
            self.timers.clear(open_job.job.id)


def late_after_s(
    rule: Hedge, first_byte_times: FirstByteTimes, prompt: float, streams: bool, first_byte_s: float
) -> float | None:
    """Seconds without a first byte after which an attempt is late that was predicted to need `first_byte_s` for it;
    None: not known yet."""
    limit_s: float | None = rule.delay_s
    if rule.quantile:
        limit_s = first_byte_times.limit_s(prompt, streams, first_byte_s, rule.quantile)
    return None if limit_s is None else max(_SOONEST_S, limit_s)
