"""What lines of batches cost those who wait on one backend."""

import pytest

from proxy.core.learn.entry import Entry
from proxy.core.learn.lines import LinesThere
from proxy.model.request import Job

STEP_S = 0.0005


def chat(cost: float = 0.05) -> Entry:
    entry = Entry(Job(1, "m"), 0.0, 0.0)
    entry.cost = cost
    return entry


def line(work: float = 0.0) -> Entry:
    entry = Entry(Job(2, "m", bulk=True), 0.0, 0.0)
    entry.bulk = entry.yields = True
    entry.work = work
    return entry


def test_nobody_is_there_until_somebody_comes_and_some_time_after_the_last_left() -> None:
    there = LinesThere()
    assert there.is_alone(0.0)
    one = chat()
    there.sent(one, 0.0)
    assert not there.is_alone(100.0), "it is still there"
    there.left(one)
    assert not there.is_alone(29.0)
    assert there.is_alone(31.0)


def test_other_bulk_is_nobody_whom_lines_keep_waiting() -> None:
    there = LinesThere()
    bulk = chat()
    bulk.bulk = True
    there.sent(bulk, 0.0)
    assert there.is_alone(0.0)
    there.left(bulk)
    assert there.is_alone(0.0)


def test_the_first_line_is_free_and_each_more_makes_two_steps_longer() -> None:
    there = LinesThere()
    there.sent(chat(0.05), 0.0)
    assert there.delays(STEP_S, 0.0) == 0.0
    there.sent(line(), 0.0)
    assert there.delays(STEP_S, 0.0) == pytest.approx(2 * 2 * STEP_S / 0.05)
    there.sent(line(), 0.0)
    assert there.delays(STEP_S, 0.0) == pytest.approx(2 * 3 * STEP_S / 0.05)


def test_a_prompt_counts_by_its_square_and_is_forgotten() -> None:
    there = LinesThere()
    there.sent(chat(0.05), 0.0)
    long = line(1.0)
    there.sent(long, 0.0)
    there.left(long)
    felt = there.delays(STEP_S, 0.0)
    assert felt == pytest.approx(0.5 / 30 / 0.05)
    assert there.delays(STEP_S, 300.0) < 0.001 * felt
    many = LinesThere()
    many.sent(chat(0.05), 0.0)
    for _ in range(400):
        short = line(0.05)
        many.sent(short, 0.0)
        many.left(short)
    assert many.delays(STEP_S, 0.0) == pytest.approx(felt)


def test_where_first_tokens_take_longer_more_is_not_felt() -> None:
    quick, patient = LinesThere(), LinesThere()
    for there, cost in ((quick, 0.05), (patient, 0.5)):
        there.sent(chat(cost), 0.0)
        there.sent(line(), 0.0)
    assert patient.delays(STEP_S, 0.0) == pytest.approx(0.1 * quick.delays(STEP_S, 0.0))
