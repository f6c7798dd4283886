"""What is open by class: out, held, gathering, and for how long."""

import pytest

from proxy.model.request import Job
from proxy.model.windows import WindowSettings
from tests.unit.core.playing import Play, spec

M = frozenset({"m"})


def test_nobody_is_there() -> None:
    assert Play(spec("a", models=M)).scheduler.lanes(1.0) == {}


def test_out_and_held_and_the_longest_wait() -> None:
    core = Play(spec("a", models=M, permits=1)).scheduler
    core.submit(Job(1, "m", traffic_class="chats"), 1.0)
    core.submit(Job(2, "m", traffic_class="chats"), 2.0)
    core.submit(Job(3, "m", traffic_class="chats"), 3.0)
    core.submit(Job(4, "m", traffic_class="bulk", bulk=True), 3.0)
    lanes = core.lanes(4.5)
    assert list(lanes) == ["chats", "bulk"]
    assert (lanes["chats"].in_flight, lanes["chats"].held, lanes["chats"].waited_s) == (1, 2, 2.5)
    assert (lanes["bulk"].in_flight, lanes["bulk"].held, lanes["bulk"].waited_s) == (0, 1, 1.5)
    counts = core.counts(4.5)
    assert counts.in_flight == sum(lane.in_flight for lane in lanes.values())
    assert counts.held == sum(lane.held for lane in lanes.values())


@pytest.mark.parametrize("jobs", [1, 3])
def test_those_that_wait_for_others_are_held_too(jobs: int) -> None:
    core = Play(spec("a", models=M)).scheduler
    window = WindowSettings(mode="fixed", max_wait=1.0).rule()
    for number in range(jobs):
        core.submit(Job(number, "m", window=b"w", gather=window), 1.0)
    lane = core.lanes(1.5)["interactive"]
    assert (lane.held, lane.gathering, lane.waited_s) == (jobs, jobs, 0.5)
