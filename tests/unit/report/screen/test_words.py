"""Numbers and names as people read them; nothing of a document is believed."""

import pytest

from proxy.report.screen import words
from proxy.report.screen.words import ABSENT


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ABSENT),
        ("3", ABSENT),
        (True, ABSENT),
        (float("nan"), ABSENT),
        (10**400, ABSENT),
        (0, "0 ms"),
        (0.0004, "< 1 ms"),
        (0.0095, "9.5 ms"),
        (0.00999, "10 ms"),
        (0.2506, "251 ms"),
        (0.9996, "1.00 s"),
        (9.996, "10.0 s"),
        (99.96, "2 min"),
        (7200, "2.0 h"),
        (864_000, "10 d"),
    ],
)
def test_seconds(value: object, shown: str) -> None:
    assert words.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1, "100 %"), (0, "0 %"), (0.99999, "99.99 %"), (0.9995, "99.95 %"), (0.0004, "0.04 %"), (-1, "-100.0 %")],
)
def test_what_is_not_quite_all_is_not_shown_as_all(value: float, shown: str) -> None:
    assert words.percent(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (9_999, "9,999"), (12_345, "12.3k"), (266_864, "267k"), (1.5e6, "1.5M"), (2e9, "2.0G")],
)
def test_short(value: float, shown: str) -> None:
    assert words.short(value) == shown


def test_rates_factors_and_sizes() -> None:
    assert [words.rate(value) for value in (0, 0.04, 9.94, 9.96, 122.3)] == ["0", "0.0", "9.9", "10", "122"]
    assert [words.times(value) for value in (1, 2.51, 250)] == ["1.0×", "2.5×", "250×"]  # noqa: RUF001
    assert [words.size(value) for value in (0, 95_002, 2**30, None)] == ["0 B", "92.8 KiB", "1.0 GiB", ABSENT]


def test_names_cannot_move_the_cursor() -> None:
    assert words.plain("\x1b[2J\u202ea\nb\x9b") == "\ufffd[2J\ufffda\ufffdb\ufffd"
    assert words.plain("名前 ok") == "名前 ok"
    assert len(words.plain("x" * 10_000)) == 200
    assert words.plain(None) == ""


def test_what_is_no_object_is_an_empty_one() -> None:
    assert words.inner({"a": {"b": 3}}, "a", "b") == {}
    assert words.inner({"a": {"b": {"c": 1}}}, "a", "b") == {"c": 1}
    assert words.inner(None, "a") == {}
    assert words.objects([1, {"a": 1}, None]) == [{"a": 1}]
    assert words.strings("abc") == []


def test_moments_that_no_calendar_has() -> None:
    assert words.clock(1e300) == words.clock(None) == ABSENT
    assert len(words.clock(0, day=True)) == len("1970-01-01 00:00:00")


def test_lines_stay_lines_and_nothing_else_moves_the_cursor() -> None:
    assert words.lines("a\nb \x1b[2J\u202ec\r\n") == "a\nb \ufffd[2J\ufffdc\ufffd\n"
    assert words.lines("plain") == "plain"
