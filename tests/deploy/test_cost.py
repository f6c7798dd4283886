"""The judgement of `make cost`; the counting itself needs valgrind and a minute, and is done by `.ci/run`."""

import pytest

from tests.benchmarks.cost.figures import MOST, build, committed, table, too_much

BEFORE = {"request": 100_000, "chunk": 10_000, "stream": 200_000}


@pytest.mark.parametrize("thing", BEFORE)
def test_more_than_allowed_is_too_much(thing: str) -> None:
    limit = round(BEFORE[thing] * (1 + MOST[thing]))
    assert too_much(BEFORE, {**BEFORE, thing: limit}) == []
    assert too_much(BEFORE, {**BEFORE, thing: limit + 1}) == [thing]


def test_less_is_never_too_much() -> None:
    assert too_much(BEFORE, dict.fromkeys(BEFORE, 1)) == []


def test_the_table_says_what_changed() -> None:
    assert "+50.0%" in table(BEFORE, {**BEFORE, "chunk": 15_000})
    assert "committed" in table(None, BEFORE)


def test_what_is_committed_is_of_builds_that_say_which_they_are() -> None:
    assert committed()
    for name, figures in committed().items():
        assert name.split()[:1] == build().split()[:1]
        assert figures.keys() == MOST.keys()
