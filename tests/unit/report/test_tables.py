"""Tables fit where they are shown, and lose nothing."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.report.tables import UNBOUNDED, table

HEADER = ("backend", "first token p99", "kept away by")
ROWS = [("chat-1", "120 ms", "-"), ("bulk", "7 ms", "queue")]
WORDS = st.text("ab-/%.09", min_size=1, max_size=12)


def test_titles_stand_over_their_numbers() -> None:
    assert table(HEADER, ROWS).splitlines() == [
        "backend  first token p99  kept away by",
        "chat-1            120 ms             -",
        "bulk                7 ms         queue",
    ]


def test_titles_are_broken_where_it_is_narrow() -> None:
    lines = table(HEADER, ROWS, width=30).splitlines()
    assert max(map(len, lines)) <= 30
    assert lines[-1].split() == ["bulk", "7", "ms", "queue"]


def test_what_does_not_fit_even_so_is_told_in_paragraphs() -> None:
    assert table(HEADER, ROWS, width=20).splitlines()[:3] == [
        "chat-1",
        "  first token p99  120 ms",
        "  kept away by     -",
    ]


def test_colours_only_where_asked_for() -> None:
    assert "\x1b" not in table(HEADER, ROWS, width=80)
    assert "\x1b[1m" in table(HEADER, ROWS, width=80, colour=True)


def test_markup_in_a_name_is_text() -> None:
    assert "[red]x[/red]" in table(("name", "n"), [("[red]x[/red]", "1")], width=80)


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=4), st.sampled_from((20, 40, 80, UNBOUNDED)))
def test_every_value_is_there_at_any_width(rows: list[tuple[str, str, str]], width: int) -> None:
    shown = table(HEADER, rows, width=width)
    for row in rows:
        for cell in row:
            assert cell in shown
    lines = shown.splitlines()
    assert width < 40 or max(map(len, lines)) <= width
