"""Which attempt of a job is out: tests speak of jobs, reports of attempts."""

from proxy.core.scheduler import Scheduler

NONE = 0
"""No attempt has this id."""


def attempt_of(scheduler: Scheduler, job_id: int, backend: str = "") -> int:
    """The id of the attempt of a job (on `backend`, where it has two); `NONE` where it has none."""
    for attempt in scheduler._attempts.out.values():
        if job_id in [open_job.job.id for open_job in attempt.open_jobs] and backend in ("", attempt.backend.name):
            return attempt.id
    return NONE
