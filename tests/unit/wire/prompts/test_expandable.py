"""Answers that can be expanded: for the key that asked, for a while, within bounds."""

from proxy.wire.prompts.expandable import ENTRY_B, MOST, MOST_B, ExpandableAnswers, Name, ShortAnswer


def name(text: str, whose: bytes = b"t") -> Name:
    return whose, text


def answer(size_b: int = 10, until: float = 100.0) -> ShortAnswer:
    return ShortAnswer(b"x" * size_b, "text", None, "", until)


def test_it_is_there_for_its_key_and_for_a_while() -> None:
    answers = ExpandableAnswers()
    answers.keep(name("a"), answer(), 0.0)
    assert answers.find(name("a"), 99.0) is not None
    assert answers.find(name("a", b"u"), 99.0) is None
    assert answers.find(name("b"), 99.0) is None
    assert answers.find(name("a"), 100.0) is None
    assert (len(answers), answers.size_b) == (0, 0)
    answers.keep(name("a"), answer(until=5.0), 5.0)
    assert len(answers) == 0


def test_count_and_bytes_are_bounded_and_the_oldest_go() -> None:
    answers = ExpandableAnswers()
    for number in range(MOST + 10):
        answers.keep(name(str(number)), answer(), 0.0)
    assert len(answers) == MOST
    assert answers.find(name("9"), 1.0) is None
    assert answers.find(name("10"), 1.0) is not None
    for number in range(100):
        answers.keep(name(f"big {number}"), answer(ENTRY_B - 2000), 0.0)
    assert answers.size_b <= MOST_B
    assert answers.find(name("big 99"), 1.0) is not None
    before = len(answers)
    answers.keep(name("too big"), answer(ENTRY_B), 0.0)
    assert len(answers) == before
    answers.keep(name("big 99"), answer(), 0.0)
    assert answers.size_b == sum(one.size_b for one in answers._kept.values())


def test_what_is_over_makes_room() -> None:
    answers = ExpandableAnswers()
    answers.keep(name("a"), answer(until=10.0), 0.0)
    answers.keep(name("b"), answer(until=100.0), 50.0)
    assert len(answers) == 1
