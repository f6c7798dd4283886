"""Cells: every combination once, with an id that says it; words that make none."""

import pytest

from proxy.bench.run_file import Arrivals
from proxy.bench.sweep import Axis, SweepError, axis_of, combinations, load_words

CLOSED = Arrivals(process="closed", concurrency=8)
OPEN = Arrivals(process="poisson", rate_per_s=2.5)


def test_every_combination_once() -> None:
    axes = [axis_of("window.max_wait=0,5"), axis_of("model=a,b")]
    found = combinations([1, 2], axes, [CLOSED, OPEN])
    assert len(found) == len({one.id for one in found}) == 16
    assert found[0].id == "window.max_wait=0,model=a,seed=1,concurrency=8"
    assert found[0].settings == (("window.max_wait", "0"),)
    assert [one.settings for one in found] == sorted(one.settings for one in found)


def test_an_id_names_no_more_than_what_differs() -> None:
    assert [one.id for one in combinations([3], [], [CLOSED, OPEN])] == ["concurrency=8", "rate=2.5"]
    assert load_words(Arrivals(process="gamma", rate_per_s=5, cv=3)) == "rate=5,cv=3"
    assert load_words(Arrivals(process="trace", speed=1.5)) == "speed=1.5"


@pytest.mark.parametrize("text", ["window.max_wait", "=1", "a=", "a=,"])
def test_words_that_make_no_sweep(text: str) -> None:
    with pytest.raises(SweepError, match="write it like"):
        axis_of(text)


def test_what_is_there_twice() -> None:
    with pytest.raises(SweepError, match="seed 1 is there twice: it would be the same requests"):
        combinations([1, 1], [], [CLOSED])
    with pytest.raises(SweepError, match="model a is there twice"):
        axis_of("model=a,b,a")
    with pytest.raises(SweepError, match="x is swept twice"):
        combinations([1], [Axis("x", ("1",)), Axis("x", ("2",))], [CLOSED])


def test_too_many() -> None:
    axes = [Axis(name, tuple(map(str, range(20)))) for name in "abc"]
    with pytest.raises(SweepError, match="8,000 combinations; at most 1,000"):
        combinations([1], axes, [CLOSED])
