"""What keys do to what somebody sees."""

import pytest

from proxy.cli.top import is_screen, pressed
from proxy.report.screen.fleet import ORDERS
from proxy.report.screen.frame import View


@pytest.mark.parametrize(
    ("key", "after"),
    [
        ("2", View("backends")),
        ("3", View("decisions")),
        ("tab", View("backends")),
        ("n", View(notable=True)),
        ("s", View(order=ORDERS[0])),
        ("space", View(held=True)),
        ("?", View(help=True)),
        ("down", View(skip=1)),
        ("page down", View(skip=10)),
        ("up", View()),
        ("home", View()),
        ("x", View()),
    ],
)
def test_a_key(key: str, after: View) -> None:
    assert pressed(View(), key) == after


def test_orders_go_round() -> None:
    view, seen = View(), []
    for _ in range(len(ORDERS) + 1):
        view = pressed(view, "s")
        seen.append(view.order)
    assert seen == [*ORDERS, ""]


def test_any_key_ends_the_help_and_does_nothing_else() -> None:
    assert pressed(View(help=True), "n") == View()


def test_another_view_begins_at_its_top() -> None:
    assert pressed(View("backends", skip=40), "3") == View("decisions")


def test_lines_where_there_is_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_screen()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for term, is_one in (("xterm", True), ("dumb", False), ("", False)):
        monkeypatch.setenv("TERM", term)
        assert is_screen() is is_one
