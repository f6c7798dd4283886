"""The panic rule and the advice on waiting."""

import pytest

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates, by_order
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings


def group(count: int, out: int, permits: int | None = 1) -> Candidates:
    backends = [Backend(BackendSpec(f"b{i}", max_concurrency=permits), i, HealthSettings()) for i in range(count)]
    for backend in backends[:out]:
        backend.health.eject(0.0)
    return Candidates(backends)


def usable(candidates: Candidates, threshold: float = 0.5) -> list[str]:
    candidates.reopen(threshold)
    return [b.name for b in candidates.open]


@pytest.mark.parametrize(
    ("out", "left"),
    [(0, ["b0", "b1", "b2", "b3"]), (1, ["b1", "b2", "b3"]), (2, ["b2", "b3"]), (3, ["b0", "b1", "b2", "b3"])],
)
def test_below_half_healthy_nobody_is_out(out: int, left: list[str]) -> None:
    candidates = group(4, out)
    assert usable(candidates) == left
    assert candidates.panic is (out == 3)
    assert candidates.healthy == 4 - out


@pytest.mark.parametrize(("out", "left"), [(3, ["b3"]), (4, ["b0", "b1", "b2", "b3"])])
def test_without_a_threshold_the_last_ones_still_are_never_out(out: int, left: list[str]) -> None:
    assert usable(group(4, out), threshold=0.0) == left


def test_a_threshold_of_one_ignores_every_ejection() -> None:
    assert usable(group(4, 1), threshold=1.0) == ["b0", "b1", "b2", "b3"]


def test_probation_is_open_and_not_healthy() -> None:
    candidates = group(4, 1)
    trial = candidates.backends[0]
    trial.health.start_probation()
    assert usable(candidates) == ["b0", "b1", "b2", "b3"]
    assert candidates.healthy == 3
    trial.health.trials = 1
    assert usable(candidates) == ["b1", "b2", "b3"]
    assert not candidates.includes(trial)
    assert candidates.includes(candidates.backends[1])


def test_in_panic_everybody_is_included() -> None:
    candidates = group(4, 3)
    candidates.reopen(0.5)
    assert all(candidates.includes(b) for b in candidates.backends)


@pytest.mark.parametrize(
    ("ahead", "wait_s"), [(1, 1.0), (4, 1.0), (5, 1.25), (100, 25.0), (240, 60.0), (241, 60.0), (10_000, 60.0)]
)
def test_waiting_is_jobs_ahead_by_service_rate(ahead: int, wait_s: float) -> None:
    candidates = group(2, 0, permits=4)
    for backend in candidates.backends:
        backend.took(2.0)
    assert candidates.wait_s(ahead) == pytest.approx(wait_s)


def test_waiting_before_anything_was_served() -> None:
    assert group(2, 0).wait_s(50) == 1.0


def test_service_time_is_smoothed() -> None:
    backend = group(1, 0).backends[0]
    backend.took(10.0)
    backend.took(0.0)
    assert backend.service_s == pytest.approx(9.0)


def ordered(*backends: tuple[int, bool]) -> Candidates:
    """Each with its order, and whether it is ejected."""
    made = [Backend(BackendSpec(f"b{i}", order=order), i, HealthSettings()) for i, (order, _) in enumerate(backends)]
    for backend, (_, out) in zip(made, backends, strict=True):
        if out:
            backend.health.eject(0.0)
    return Candidates(made)


def test_the_lowest_order_comes_first() -> None:
    candidates = ordered((1, False), (0, False), (0, False))
    assert candidates.ordered
    assert [b.name for b in candidates.first] == ["b1", "b2"]
    alike = ordered((3, False), (3, False))
    assert not alike.ordered
    assert alike.first is alike.open


def test_where_one_order_is_well_the_sick_of_another_are_left_out() -> None:
    candidates = ordered((0, True), (0, True), (0, True), (1, False))
    assert usable(candidates) == ["b3"], "one of four is healthy, and all of order 1"
    assert not candidates.ordered, "of those that are open"
    assert usable(ordered((0, True), (1, True))) == ["b0", "b1"], "nobody is: all are tried"


def test_apart_by_order() -> None:
    candidates = ordered((2, False), (0, False), (2, False))
    assert [[b.name for b in part] for part in by_order(candidates.backends)] == [["b1"], ["b0", "b2"]]


def test_away_are_all_or_none() -> None:
    candidates = group(2, out=0)
    first, second = candidates.backends
    assert not candidates.are_away
    first.asleep = True
    assert not candidates.are_away
    second.asleep = True
    assert candidates.are_away
