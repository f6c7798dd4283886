"""The whole screen, in every size, of every document: as large as the terminal at most, and only text."""

import re
from typing import Any

import pytest

from proxy.report.screen.frame import VIEWS, View, most_skip, page, screen
from proxy.report.screen.head import Link
from proxy.report.screen.watched import Watched
from tests.unit.report.screen.documents import EMPTY, HOSTILE, NONSENSE, backend, decision, lane, status

LIVE = Link("live")
LOST = Link("lost", "connection refused", 12.0, "http://127.0.0.1:9090")
SIZES = [(1, 1), (3, 2), (20, 7), (60, 20), (80, 24), (120, 40), (250, 90)]


def watching(**more: Any) -> Watched:
    watched = Watched()
    watched.take("status", status(**more))
    return watched


def texts(watched: Watched, view: View, link: Link, width: int, height: int) -> list[str]:
    lines = screen(watched, view, link, width, height)
    assert len(lines) == height
    for line in lines:
        assert line.cell_len <= width, line.plain
        assert line.plain.isprintable()
    return [line.plain for line in lines]


MANY = {
    "backends": {f"backend-{at:03}": backend(state="away" if at == 150 else "healthy") for at in range(200)},
    "classes": {f"class-{at}": lane() for at in range(40)},
}
DOCUMENTS = [{}, MANY, *NONSENSE]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("more", DOCUMENTS, ids=range(len(DOCUMENTS)))
@pytest.mark.parametrize("shows", VIEWS)
def test_it_fits_whatever_is_in_it(more: dict[str, Any], size: tuple[int, int], shows: str) -> None:
    watched = watching(**more)
    texts(watched, View(shows), LIVE, *size)
    texts(watched, View(shows, order="KV", notable=True, skip=3, held=True), LOST, *size)
    texts(watched, View(shows, help=True), LIVE, *size)
    page(watched, LIVE, 10_000, charts=False)


def test_nothing_was_told_yet() -> None:
    texts(Watched(), View(), LIVE, 80, 24)
    watched = Watched()
    watched.take("status", EMPTY)
    assert any("No request yet" in line for line in texts(watched, View(), LIVE, 80, 24))


def test_names_are_only_text() -> None:
    named = {
        "classes": {HOSTILE: lane()},
        "backends": {HOSTILE: backend(pool=HOSTILE, state=HOSTILE), "b": backend()},
        "slos": {HOSTILE: {}},
        "decisions": [decision(1, **dict.fromkeys(("class", "model", "backend", "why", "verdict"), HOSTILE))],
        "not_ready": HOSTILE,
        "policy": HOSTILE,
        "listen": HOSTILE,
        "version": HOSTILE,
    }
    shown = "\n".join(texts(watching(**named), View(), LIVE, 250, 90))
    assert "[bold red]x[/]" in shown, "markup is not obeyed"
    assert "\ufffd[2J" in shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)


@pytest.mark.parametrize(
    ("width", "height", "there", "not_there"),
    [
        (120, 40, ["p99", "trend", "BUDGET", "POOL", "model", "E2E", "cache"], []),
        (80, 24, ["trend", "TTFT ≤200 ms", "goodput/all", "KV", "because", "outcome", "config"], ["POOL"]),
        (60, 20, ["p50", "p95", "in flight", "because", "outcome", "kept"], ["p99", "trend"]),
    ],
)
def test_what_a_size_shows(width: int, height: int, there: list[str], not_there: list[str]) -> None:
    shown = "\n".join(texts(watching(), View(), LIVE, width, height))
    assert [word for word in there if word not in shown] == []
    assert [word for word in not_there if word in shown] == []


def test_of_two_hundred_backends_those_with_trouble_come_first() -> None:
    shown = texts(watching(**MANY), View(), LIVE, 100, 40)
    first = next(at for at, line in enumerate(shown) if line.startswith("BACKEND")) + 1
    assert shown[first].startswith("backend-150")
    assert any("more backends" in line for line in shown)


def test_all_of_them_can_be_seen() -> None:
    watched, seen = watching(**MANY), set()
    for skip in range(0, 200, 10):
        seen |= set(re.findall(r"backend-\d+", "\n".join(texts(watched, View("backends", skip=skip), LIVE, 100, 40))))
    assert len(seen) == 200
    assert most_skip(watched, View("backends")) == 199
    assert most_skip(watched, View()) == 0


def test_a_proxy_that_is_lost_is_said_first_and_the_last_numbers_are_dimmed() -> None:
    lines = screen(watching(), View(), LOST, 80, 24)
    assert "connection refused. Lost for 12.0 s" in lines[0].plain
    alpha = next(line for line in lines if line.plain.startswith("alpha"))
    assert any(span.style == "dim" and span.start == 0 and span.end == len(alpha) for span in alpha.spans)


def test_without_objectives_there_is_no_table_of_them() -> None:
    assert "BUDGET" not in "\n".join(texts(watching(slos={}), View(), LIVE, 120, 40))


def test_a_page_has_everything_and_no_charts() -> None:
    shown = "\n".join(line.plain for line in page(watching(), Link(), 10_000, charts=False))
    for word in ("GOODPUT", "CLASS", "BUDGET", "BACKEND", "POOL", "waiting", "cache", "config", "ENDED", "beta"):
        assert word in shown
    assert "▁" not in shown
    assert max(map(len, shown.splitlines())) < 200
