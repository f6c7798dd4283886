"""What is written down of one attempt."""

from proxy.core.learn.entry import Entry
from proxy.model.request import Job


def entry() -> Entry:
    made = Entry(Job(1, "m"), 1.0, 2.0)
    made.ttft, made.answer, made.tpot = 0.5, 100.0, 0.02
    return made


def test_the_first_byte_of_an_answer_in_one_piece_is_its_last() -> None:
    made = entry()
    assert made.first_byte_s == 0.5 + 100.0 * 0.02
    made.streams = True
    assert made.first_byte_s == 0.5


def test_it_begins_at_once_with_a_seat_and_its_model_in_memory() -> None:
    made = entry()
    assert made.begins
    made.loading = 3.0
    assert not made.begins
    made.loading, made.seated = 0.0, False
    assert not made.begins
