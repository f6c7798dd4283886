"""One attempt, for one job or several."""

from proxy.core.fleet.backend import Backend
from proxy.core.jobs.attempt import Attempt
from proxy.core.jobs.open_job import OpenJob
from proxy.core.jobs.states import WAITING
from proxy.core.learn.entry import Entry
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings
from proxy.model.request import Job


def test_it_is_of_the_era_of_its_dispatch_and_for_all_its_jobs() -> None:
    backend = Backend(BackendSpec("a"), 0, HealthSettings())
    backend.health.eject(1.0)
    leader, other = OpenJob(Job(1, "m"), 1), OpenJob(Job(2, "m"), 2)
    attempt = Attempt(7, leader, backend, Entry(leader.job, 0.0, 0.0))
    backend.health.start_probation()
    assert (attempt.id, attempt.era, attempt.state) == (7, 1, WAITING)
    assert attempt.open_jobs == (leader,)
    attempt.others = (other,)
    assert attempt.open_jobs == (leader, other)
