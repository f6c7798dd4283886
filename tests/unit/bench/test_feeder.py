"""The order of a plan: numbers that count on, an end, and moments of an open loop."""

from itertools import islice, pairwise
from statistics import fmean, pstdev

import pytest

from proxy.bench.feeder import Feeder, mean_asks, offsets
from proxy.bench.run_file import Arrivals
from proxy.bench.text import rng_of
from proxy.bench.workloads.chats import MultiTurn
from proxy.bench.workloads.named import source_of


def drained(feeder: Feeder) -> list[tuple[int, int]]:
    found = []
    while (turn := feeder.next()) is not None:
        found.append((turn.first, len(turn.session.asks)))
    return found


def test_numbers_count_on_through_sessions_and_end_where_they_should() -> None:
    feeder = Feeder(MultiTurn(), 1, 23)
    turns = drained(feeder)
    assert sum(count for _, count in turns) == 23
    assert [first for first, _ in turns] == [sum(count for _, count in turns[:at]) for at in range(len(turns))]
    assert feeder.is_exhausted
    assert drained(Feeder(MultiTurn(), 1, 23)) == turns


def test_warming_up_sends_other_requests() -> None:
    measured, warm = (Feeder(source_of(["short-chat"]), 1, 5, warms_up=flag) for flag in (False, True))
    texts = []
    for feeder in (measured, warm):
        turn = feeder.next()
        assert turn is not None
        texts.append(turn.session.asks[0].fields["messages"])
    assert texts[0] != texts[1]


def test_it_can_be_stopped() -> None:
    feeder = Feeder(MultiTurn(), 1, None)
    assert feeder.next() is not None
    feeder.is_stopped = True
    assert feeder.next() is None
    assert not feeder.is_exhausted


@pytest.mark.parametrize(("process", "cv"), [("poisson", 1.0), ("gamma", 3.0)])
def test_pauses_have_the_mean_and_the_variation_that_are_asked_for(process: str, cv: float) -> None:
    arrivals = Arrivals(process=process, rate_per_s=50.0, cv=cv)  # type: ignore[arg-type]
    moments = list(islice(offsets(arrivals, rng_of(1)), 20_000))
    pauses = [later - sooner for sooner, later in pairwise(moments)]
    assert fmean(pauses) == pytest.approx(0.02, rel=0.08)
    assert pstdev(pauses) / fmean(pauses) == pytest.approx(cv, rel=0.1)
    assert moments == list(islice(offsets(arrivals, rng_of(1)), 20_000))


def test_a_rate_is_one_of_requests() -> None:
    each = mean_asks(MultiTurn(), 1)
    assert 4 < each < 6
    arrivals = Arrivals(process="poisson", rate_per_s=50.0)
    moments = list(islice(offsets(arrivals, rng_of(1), each), 5000))
    assert 5000 * each / moments[-1] == pytest.approx(50, rel=0.08)
