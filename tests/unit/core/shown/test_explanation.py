"""What is shown of a decision, by outcome; that it comes true is compared by the random lives."""

import random

import pytest

from proxy.core.scheduler import Scheduler
from proxy.core.shown.explanation import Explanation
from proxy.model.backend import BackendSpec
from proxy.model.commands import Probed, Reason
from proxy.model.fallback import FallbackStep
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job

M = frozenset({"m"})
SMALL = FallbackStep("small", frozenset(), "model:small")


def scheduler() -> Scheduler:
    return Scheduler(
        [
            BackendSpec("a", models=M, max_concurrency=1),
            BackendSpec("b", models=frozenset({"small"}), max_concurrency=1),
        ],
        retries=RetrySettings(),
        hold=HoldSettings(min_jobs=1, per_in_flight=0),
        health=HealthSettings(),
        rng=random.Random(1),
        policy="goodput",
    )


def removed(told: Explanation) -> dict[str, str | None]:
    return {view.backend: view.removed_by for view in told.candidates}


def test_dispatch_hold_fallback_refuse_and_unserved() -> None:
    core = scheduler()
    told = core.explain(Job(1, "m"), 1.0)
    assert (told.outcome, told.backend, told.reason, removed(told)) == ("dispatch", "a", None, {"a": None})
    core.submit(Job(1, "m"), 1.0)
    told = core.explain(Job(2, "m"), 1.0)
    assert (told.outcome, told.backend, removed(told)) == ("hold", None, {"a": "permits"})
    core.submit(Job(2, "m"), 1.0)
    told = core.explain(Job(3, "m", fallbacks=(SMALL,)), 1.0)
    assert (told.outcome, told.backend, told.fallback) == ("fallback", "b", "model:small")
    told = core.explain(Job(3, "m"), 1.0)
    assert (told.outcome, told.reason) == ("refuse", Reason.QUEUE)
    assert core.explain(Job(3, "other"), 1.0).outcome == "unserved"


@pytest.mark.parametrize("deadline", [0.5, 1.0])
def test_past_its_deadline_and_while_draining(deadline: float) -> None:
    core = scheduler()
    told = core.explain(Job(1, "m", deadline=deadline), 1.0)
    assert (told.outcome, told.reason) == ("refuse", Reason.DEADLINE)
    core.refuse_new()
    assert core.explain(Job(1, "m"), 1.0).outcome == "refuse"


def test_who_is_not_there_is_away() -> None:
    core = scheduler()
    core.observe(Probed("a", False, None, reached=False), 1.0)
    assert removed(core.explain(Job(1, "m"), 1.0)) == {"a": "away"}


def test_whose_turn_it_is() -> None:
    core = Scheduler(
        [BackendSpec("cloud", models=M, order=1), BackendSpec("home", models=M, max_concurrency=1)],
        retries=RetrySettings(),
        hold=HoldSettings(),
        health=HealthSettings(),
        rng=random.Random(1),
        policy="goodput",
    )
    told = core.explain(Job(1, "m"), 1.0)
    assert (told.backend, removed(told)) == ("home", {"home": None, "cloud": "order"})
    assert [(view.backend, view.order) for view in told.candidates] == [("cloud", 1), ("home", 0)]
    core.submit(Job(1, "m"), 1.0)
    told = core.explain(Job(2, "m"), 1.0)
    assert (told.backend, removed(told)) == ("cloud", {"home": "permits", "cloud": None})
