"""A run in slices of time."""

import pytest

from proxy.model.faults import Kind, internal
from proxy.model.outcome import SERVED, Phase, failed_with
from proxy.report.intervals import slices_of
from proxy.report.run import Result
from proxy.workload.arrival import Arrival, Slo


def served(at: float, ttft_s: float, traffic_class: str | None = None) -> Result:
    arrival = Arrival(at, 10, 5, traffic_class=traffic_class, slo=Slo(ttft_s=1.0))
    return Result(arrival, SERVED, first_token_at=at + ttft_s, done_at=at + 50.0)


def refused(at: float) -> Result:
    outcome = failed_with(internal(Kind.HOLD_TIMEOUT, "late"), Phase.QUEUE)
    return Result(Arrival(at, 10, 5, slo=Slo(ttft_s=1.0)), outcome, "ttft", falsely_refused=True, done_at=at)


def test_an_onset_can_be_read() -> None:
    results = [served(0.0, 0.1), served(9.9, 0.2), served(10.0, 3.0), refused(12.0), served(35.0, 0.3)]
    slices = slices_of(results, 10.0)
    assert [(one.start, one.end, one.group.requests, one.group.good) for one in slices] == [
        (0.0, 10.0, 2, 2),
        (10.0, 20.0, 2, 0),
        (20.0, 30.0, 0, 0),
        (30.0, 40.0, 1, 1),
    ]
    assert [one.group.ttft.p99 for one in slices] == [pytest.approx(0.2), pytest.approx(3.0), None, pytest.approx(0.3)]
    assert [one.group.falsely_refused for one in slices] == [0, 1, 0, 0]
    assert sum(one.group.requests for one in slices) == len(results)


def test_classes_have_slices_of_their_own() -> None:
    slices = slices_of([served(0.0, 0.1, "chat"), served(1.0, 0.1, "bulk"), served(2.0, 0.1, "bulk")], 10.0)
    assert [(one.traffic_class, one.group.requests) for one in slices] == [("all", 3), ("bulk", 2), ("chat", 1)]


def test_bounds() -> None:
    assert slices_of([], 10.0) == []
    with pytest.raises(ValueError, match="at most 100,000"):
        slices_of([served(1e6, 0.1)], 1.0)
