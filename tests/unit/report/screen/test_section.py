"""Parts that share a height."""

from rich.text import Text

from proxy.report.screen.section import Section, allotted, beside, cut, fixed, stacked


def part(name: str, least: int, wanted: int, weight: int, grows: int = 1) -> Section:
    return Section(lambda rows: [Text(name)] * rows, least, wanted, weight, grows)


PARTS = [part("a", 1, 1, 9), part("b", 2, 5, 7), part("c", 3, 50, 8, 0)]


def test_who_matters_more_gets_its_least_first_and_the_rest_grows() -> None:
    assert allotted(PARTS, 100, 0) == [1, 5, 50]
    assert allotted(PARTS, 12, 0) == [1, 5, 6]
    assert allotted(PARTS, 5, 0) == [1, 0, 4]
    assert allotted(PARTS, 1, 0) == [1, 0, 0]
    assert allotted(PARTS, 0, 0) == [0, 0, 0]


def test_lines_that_are_of_no_use_go_to_others() -> None:
    lanes, rest = part("a", 3, 9, 5)._replace(upto=4), part("b", 1, 50, 4, 0)
    assert allotted([lanes, rest], 8, 0) == [4, 4]
    assert allotted([lanes, rest], 12, 0) == [9, 3]


def test_gaps_are_counted() -> None:
    for height in range(30):
        lines = stacked(PARTS, height, 1)
        assert len(lines) <= height
        assert not lines or (lines[0].plain and lines[-1].plain)


def test_what_is_left_out_is_said() -> None:
    lines = [Text(str(at)) for at in range(5)]
    assert [line.plain for line in cut(lines, 3, lambda count: Text(f"{count} more"))] == ["0", "1", "3 more"]
    assert cut(lines, 5, lambda _: Text("never")) == lines
    assert cut(lines, 0, lambda _: Text("never")) == []


def test_two_beside_each_other_have_no_gap() -> None:
    both = beside(part("a", 1, 2, 5), part("b", 1, 3, 6))
    assert (both.least, both.wanted, both.weight) == (2, 5, 6)
    assert [line.plain for line in both.lines(4)] == ["a", "b", "b", "b"]
    assert [line.plain for line in stacked([fixed([Text("x")], 1), both], 9, 1)] == ["x", "", "a", "a", "b", "b", "b"]
