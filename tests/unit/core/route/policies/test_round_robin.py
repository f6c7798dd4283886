"""Everybody in turn."""

import random
from collections import Counter

from proxy.core.route.policies import POLICIES
from proxy.model.request import Job
from tests.unit.core.route.policies.picking import JOB, asked, backends, picks


def test_round_robin_takes_turns_whatever_the_load() -> None:
    assert picks(POLICIES["round_robin"].make(), backends(9, 0, 3), 7) == [0, 1, 2, 0, 1, 2, 0]


def test_round_robin_skips_who_is_missing_and_goes_on() -> None:
    policy = POLICIES["round_robin"].make()
    a, b, c = backends(0, 0, 0)
    rng = random.Random(1)
    assert [policy(some, asked(JOB), rng).index for some in ([a, b, c], [a, c], [a, b], [b, c])] == [0, 2, 0, 1]


def test_round_robin_does_not_tie_alternating_models_to_backends() -> None:
    policy = POLICIES["round_robin"].make()
    candidates = backends(0, 0)
    rng = random.Random(1)
    chosen = [(model, policy(candidates, asked(Job(1, model)), rng).index) for _ in range(4) for model in "xy"]
    assert Counter(chosen) == {("x", 0): 2, ("x", 1): 2, ("y", 0): 2, ("y", 1): 2}


def test_round_robin_remembers_a_bounded_number_of_names() -> None:
    policy = POLICIES["round_robin"].make()
    candidates = backends(0, 0)
    rng = random.Random(1)
    for number in range(5000):
        policy(candidates, asked(Job(1, f"made-up-{number}")), rng)
    assert len(policy._last) <= 1024
