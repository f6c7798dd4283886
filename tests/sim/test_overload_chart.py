"""Goodput over load, as the README shows it: chart, table and words are those of the rows, and the rows are true."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks.simulate.measured import BASELINES, OURS
from tests.benchmarks.simulate.overload import LOADS, SEEDS, played
from tests.benchmarks.simulate.overload_chart import CHART, drawn
from tests.benchmarks.simulate.overload_figures import FIGURES, Row, best_baseline, read, shares, table, written

CLONE = Path(__file__).parents[2]
README = " ".join((CLONE / "README.md").read_text().split())
ROWS = read(FIGURES.read_text())
TWICE = max(LOADS)
POINTS = 5
"""Percent by which what is played now may differ from what was measured, before it must be measured again."""


def test_every_policy_was_played_at_every_load_on_every_seed() -> None:
    expected = {(load, name, seed) for load in LOADS for name in (OURS, *BASELINES) for seed in range(1, SEEDS + 1)}
    assert {(row.load, row.policy, row.seed) for row in ROWS} == expected
    assert len(ROWS) == len(expected)
    assert written(ROWS) == FIGURES.read_text()


def test_the_chart_is_drawn_of_the_rows() -> None:
    assert CHART.read_text() == drawn(ROWS)


def test_the_chart_says_what_the_rows_say() -> None:
    words = " ".join("".join(one.itertext()) for one in ElementTree.fromstring(drawn(ROWS)))
    for name in (OURS, "round_robin", best_baseline(ROWS, TWICE)):
        assert f"{shares(ROWS, TWICE, name).good:.0f} %" in words
    other = [row._replace(good=row.requests) if row.policy == OURS else row for row in ROWS]
    assert "Tidegate 100 %" in drawn(other)


def test_the_table_is_made_of_the_rows() -> None:
    assert table(ROWS) in (CLONE / "tests/benchmarks/simulate/results/README.md").read_text()


def test_the_readme_says_what_the_rows_say() -> None:
    ours, turns = shares(ROWS, TWICE, OURS), shares(ROWS, TWICE, "round_robin")
    best = shares(ROWS, TWICE, best_baseline(ROWS, TWICE))
    requests = sum(row.requests for row in ROWS if (row.load, row.policy) == (TWICE, OURS))
    assert f"{ours.good:.0f} % of requests keep every promise" in README
    assert f"the best keeps {best.good:.0f} %, round robin {turns.good:.0f} %" in README
    assert f"{requests:,} requests at 2 ×, means of {SEEDS} seeds" in README  # noqa: RUF001
    assert f"at 2 × {ours.refused:.0f} % are refused, and of the bulk {ours.bulk:.0f} % are complete" in README  # noqa: RUF001


def test_what_the_readme_shows_is_there() -> None:
    shown = re.findall(r'(?:src|srcset)="([^"]+)"|!\[[^\]]*\]\(([^)]+)\)', README)
    paths = [CLONE / (one or other) for one, other in shown]
    assert CHART in paths
    for path in paths:
        assert path.stat().st_size <= 150_000, path


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["round_robin", OURS])
def test_playing_it_again_finds_the_same(policy: str) -> None:
    """One seed at twice the load: the first hundred seconds of it would not be enough to be overloaded."""
    (now,) = played(TWICE, (policy,), ("--seed", "1"))
    (then,) = (row for row in ROWS if (row.load, row.policy, row.seed) == (TWICE, policy, 1))
    assert (now.requests, now.chats, now.bulk) == (then.requests, then.chats, then.bulk)
    assert share(now) == pytest.approx(share(then), abs=POINTS)


def share(row: Row) -> float:
    return 100 * row.good / row.requests
