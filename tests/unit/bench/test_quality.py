"""Answers held against a reference's."""

from dataclasses import replace

import pytest

from proxy.bench.details import Detail, digest_of
from proxy.bench.quality import paired, quality, wilson
from proxy.bench.rows import Row
from proxy.bench.run_folder import Measured

ROW = Row("2026-01-01T00:00:00Z", "", "m", "", "s", 1, None, 10, 10, 100.0, 500.0, 40.0, success=True)


def answer(
    index: int, text: str, *, side: str = "url", tokens: int = 10, success: bool = True, kept: bool = True
) -> Measured:
    detail = Detail(
        cell="c0",
        index=index,
        workload="w",
        digest=f"{index}",
        intended_at=0.0,
        sent_at=0.0,
        outcome="served" if success else "failed",
        side=side,  # type: ignore[arg-type]
        text_digest=digest_of(text.encode()),
        text=text if kept else None,
    )
    return Measured(replace(ROW, output_tokens=tokens, success=success), detail)


def test_where_they_part_and_how_long_they_are() -> None:
    ours = [answer(0, "Paris."), answer(1, "It is 42, of course.", tokens=12), answer(2, "x", success=False)]
    other = [answer(0, "Paris."), answer(1, "It is 41.", tokens=6), answer(2, "y")]
    pairs, unanswered = paired(ours, other)
    found = quality(pairs, unanswered)
    assert (found.pairs, found.unanswered, found.same) == (2, 1, 1)
    assert found.parts_at == len("It is 4")
    assert found.shared == pytest.approx((1.0 + 7 / 9) / 2)
    assert found.length == pytest.approx((1.0 + 2.0) / 2)
    assert found.ours.tokens == 11
    assert found.reference.e2e_ms == 500.0


def test_the_sides_of_one_run() -> None:
    both = [answer(0, "a"), answer(0, "a", side="direct"), answer(1, "b"), answer(1, "c", side="direct")]
    pairs, _ = paired(both, both, ("url", "direct"))
    assert [pair.is_same for pair in pairs] == [True, False]
    assert [pair.reference.detail.side for pair in pairs] == ["direct", "direct"]


def test_other_prompts_are_no_pair() -> None:
    other = answer(0, "a")
    assert paired([answer(0, "a")], [Measured(other.row, replace(other.detail, digest="else"))]) == ([], 0)


def test_without_texts_only_sameness_is_known() -> None:
    found = quality(paired([answer(0, "a", kept=False)], [answer(0, "b", kept=False)])[0])
    assert (found.same, found.parts_at, found.shared) == (0, None, None)


def test_one_that_says_nothing_shares_nothing() -> None:
    (pair,), _ = paired([answer(0, "")], [answer(0, "abc")])
    assert (pair.parts_at, pair.shared) == (0, 0.0)
    (pair,), _ = paired([answer(0, "abc")], [answer(0, "")])
    assert pair.shared == 0.0


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1), (5, 10, 0.2366, 0.7634)]
)
def test_the_range_of_a_share(hits: int, n: int, low: float, high: float) -> None:
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
