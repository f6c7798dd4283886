"""Short words for asking a policy."""

import random

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.route.policies import Policy
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings
from proxy.model.request import Job

JOB = Job(1, "m")


def asked(job: Job) -> Demand:
    return Demand(job, 0.0, 0.0)


def backends(*in_flight: int) -> list[Backend]:
    made = [Backend(BackendSpec(f"b{i}"), i, HealthSettings()) for i in range(len(in_flight))]
    for backend, busy in zip(made, in_flight, strict=True):
        backend.in_flight = busy
    return made


def picks(policy: Policy, candidates: list[Backend], times: int, job: Job = JOB) -> list[int]:
    rng = random.Random(3)
    return [policy(candidates, asked(job), rng).index for _ in range(times)]
