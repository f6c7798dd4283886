"""Whatever a status holds, and whatever the size, its lines fit and are only text."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.report.screen.frame import VIEWS, View, page, screen
from proxy.report.screen.head import Link
from proxy.report.screen.watched import Watched
from tests.unit.report.screen.documents import backend, budget, decision, lane, status

ORDINARY = status()
WORDS = st.sampled_from(
    [*ORDINARY, *backend(), *lane(), *budget(), *decision(1), *ORDINARY["config"], "p50", "p95", "1h"]
)
NAMES = st.text(max_size=40) | WORDS
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12
)


def odd(ordinary: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """As it is, but for some of its values."""
    return st.dictionaries(st.sampled_from(sorted(ordinary)), ANY, max_size=4).map(lambda more: {**ordinary, **more})


DOCUMENTS = st.fixed_dictionaries(
    {
        "classes": st.dictionaries(NAMES, odd(lane()), max_size=4),
        "backends": st.dictionaries(NAMES, odd(backend()), max_size=4),
        "slos": st.dictionaries(NAMES, odd(budget()), max_size=3),
        "decisions": st.lists(odd(decision(1)), max_size=4),
        "config": odd(ORDINARY["config"]),
        "totals": odd(ORDINARY["totals"]),
    }
) | st.dictionaries(WORDS, ANY, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    document=DOCUMENTS,
    change=st.dictionaries(WORDS, ANY, max_size=3),
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    shows=st.sampled_from(VIEWS),
    skip=st.integers(0, 10),
)
def test_it_fits_and_is_only_text(
    document: dict[str, Any], change: dict[str, Any], width: int, height: int, shows: str, skip: int
) -> None:
    watched = Watched()
    watched.take("status", {**ORDINARY, **document})
    watched.take("change", change)
    for link in (Link("live"), Link("lost", "refused", 3.0, "http://h")):
        lines = screen(watched, View(shows, skip=skip), link, width, height)
        assert len(lines) == height
        assert all(line.cell_len <= width and line.plain.isprintable() for line in lines)
    assert all(line.plain.isprintable() for line in page(watched, Link(), 10_000, charts=False))
