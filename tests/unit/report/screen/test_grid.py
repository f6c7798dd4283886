"""Columns in a given width."""

from rich.text import Text

from proxy.report.screen.grid import Column, fitted, grid

COLUMNS = (
    Column("NAME", least=4),
    Column("n", right=True, rank=1, usual=5),
    Column("chart", rank=2, most=20),
    Column("end"),
)
ROWS = [["a-long-name", "12", lambda width: Text("#" * width), "x"]]


def shown(width: int) -> list[str]:
    lines = [line.plain for line in grid(COLUMNS, ROWS, width)]
    assert all(len(line) <= width for line in lines)
    return lines


def test_with_room_everything_is_whole_and_the_chart_takes_what_is_left() -> None:
    assert shown(80) == [
        "NAME             n  chart                 end",
        "a-long-name     12  ####################  x  ",
    ]
    assert shown(40)[1] == "a-long-name     12  ###############  x  "


def test_names_get_shorter_then_columns_leave() -> None:
    assert shown(25)[1] == "a-l…     12  #####  x  "[:25] or shown(25)[1].startswith("a-")
    assert "chart" not in shown(20)[0]
    assert shown(12)[0].split() == ["NAME", "end"]
    assert shown(12)[1].startswith("a-lo") or shown(12)[1].startswith("a-l")


def test_what_is_too_narrow_for_anything_is_cut() -> None:
    assert [len(line) for line in shown(3)] == [3, 3]


def test_wide_characters_take_two_cells() -> None:
    cell = fitted("名前名前", 5)
    assert cell.cell_len == 5
    assert fitted("名", 4, right=True).plain == "  名"
