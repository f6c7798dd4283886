"""Answers that can be expanded: for their tenant, for a while, within bounds."""

from proxy.wire.prompts.expandable import ENTRY_B, MOST, MOST_B, ExpandableAnswers, ShortAnswer


def answer(size_b: int = 10, until: float = 100.0, tenant: str = "t") -> ShortAnswer:
    return ShortAnswer(tenant, b"x" * size_b, "text", None, "", until)


def test_it_is_there_for_its_tenant_and_for_a_while() -> None:
    answers = ExpandableAnswers()
    answers.keep("a", answer(), 0.0)
    assert answers.find("a", "t", 99.0) is not None
    assert answers.find("a", "u", 99.0) is None
    assert answers.find("b", "t", 99.0) is None
    assert answers.find("a", "t", 100.0) is None
    assert (len(answers), answers.size_b) == (0, 0)
    answers.keep("a", answer(until=5.0), 5.0)
    assert len(answers) == 0


def test_count_and_bytes_are_bounded_and_the_oldest_go() -> None:
    answers = ExpandableAnswers()
    for number in range(MOST + 10):
        answers.keep(str(number), answer(), 0.0)
    assert len(answers) == MOST
    assert answers.find("9", "t", 1.0) is None
    assert answers.find("10", "t", 1.0) is not None
    for number in range(100):
        answers.keep(f"big {number}", answer(ENTRY_B - 2000), 0.0)
    assert answers.size_b <= MOST_B
    assert answers.find("big 99", "t", 1.0) is not None
    before = len(answers)
    answers.keep("too big", answer(ENTRY_B), 0.0)
    assert len(answers) == before
    answers.keep("big 99", answer(), 0.0)
    assert answers.size_b == sum(one.size_b for one in answers._kept.values())


def test_what_is_over_makes_room() -> None:
    answers = ExpandableAnswers()
    answers.keep("a", answer(until=10.0), 0.0)
    answers.keep("b", answer(until=100.0), 50.0)
    assert len(answers) == 1
