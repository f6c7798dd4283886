"""Short words for playing a scheduler: build one, submit, read its commands."""

import random
from collections.abc import Iterable
from typing import Any

from proxy.core.scheduler import Scheduler
from proxy.core.shown.views import BackendView
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Dispatch, Failed, Finished, Probed, Refuse
from proxy.model.faults import Fault, Kind, Retry, upstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from tests.support.attempts import attempt_of

M = frozenset({"m"})


def spec(name: str, permits: int | None = None, models: frozenset[str] | None = M, **more: Any) -> BackendSpec:
    return BackendSpec(name, models=models, max_concurrency=permits, **more)


def fault(kind: Kind = Kind.ERROR_STATUS, retry_after_s: float | None = None) -> Fault:
    return upstream(kind, f"backend said {kind}", Retry.SAFE, retry_after_s)


class Play:
    """A scheduler with the clock in one place; every method returns the commands."""

    def __init__(self, *specs: BackendSpec, policy: str = "least_outstanding", seed: int = 1, **settings: Any) -> None:
        self.now = 100.0
        self.scheduler = Scheduler(
            specs,
            policy=policy,
            retries=settings.get("retries", RetrySettings()),
            hold=settings.get("hold", HoldSettings()),
            health=settings.get("health", HealthSettings()),
            rng=random.Random(seed),
            scheduling=settings.get("scheduling"),
        )

    def submit(self, job_id: int, model: str = "m", **fields: Any) -> list[Command]:
        return self.scheduler.submit(Job(job_id, model, **fields), self.now)

    def attempt(self, job_id: int, backend: str = "") -> int:
        return attempt_of(self.scheduler, job_id, backend)

    def finish(self, job_id: int) -> list[Command]:
        return self.scheduler.observe(Finished(self.attempt(job_id)), self.now)

    def fail(self, job_id: int, cause: Fault | None = None, repeatable: bool = True) -> list[Command]:
        return self.scheduler.observe(Failed(self.attempt(job_id), cause or fault(), repeatable), self.now)

    def probe(self, name: str, ok: bool = True, models: Iterable[str] | None = ("m",)) -> list[Command]:
        listed = None if models is None else frozenset(models)
        return self.scheduler.observe(Probed(name, ok, listed), self.now)

    def cancel(self, job_id: int) -> list[Command]:
        return self.scheduler.cancel(job_id, self.now)

    def later(self, seconds: float) -> list[Command]:
        """Time passes, with a tick at its end."""
        self.now += seconds
        return self.scheduler.tick(self.now)

    def view(self, name: str) -> BackendView:
        return next(v for v in self.scheduler.backends(self.now) if v.name == name)

    @property
    def counts(self) -> Any:
        return self.scheduler.counts(self.now)

    def fail_until_ejected(self, name: str, first_id: int, times: int = 5) -> None:
        """Jobs come one at a time; those that reach `name` fail for good, the others are served."""
        failures = 0
        for job_id in range(first_id, first_id + 1000):
            (command,) = self.submit(job_id)
            if isinstance(command, Dispatch) and command.backend == name:
                self.fail(job_id, repeatable=False)
                failures += 1
            else:
                self.finish(job_id)
            if failures == times:
                return
        raise AssertionError(f"{name} got {failures} jobs only")


def gone(commands: list[Command]) -> list[tuple[int, str, int]]:
    """(job, backend, attempt) of commands that are all dispatches."""
    assert all(isinstance(c, Dispatch) for c in commands), commands
    return [(c.jobs[0], c.backend, c.number) for c in commands if isinstance(c, Dispatch)]


def refused(commands: list[Command]) -> list[tuple[int, Kind]]:
    """(job, kind) of commands that are all refusals."""
    assert all(isinstance(c, Refuse) for c in commands), commands
    return [(c.job_id, c.fault.kind) for c in commands if isinstance(c, Refuse)]


def only_fault(commands: list[Command]) -> Fault:
    (command,) = commands
    assert isinstance(command, Refuse)
    return command.fault
