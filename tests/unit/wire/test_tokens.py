"""Counts, their sources, and the estimate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.tokens import CountSource, Estimator, uncorrected, weaker
from proxy.wire.vocabularies import vocabulary_of

# Tokens by o200k_base.
_KNOWN = [
    ("When in the Course of human events, it becomes necessary for one people to dissolve the political bands.", 19),
    ("Все люди рождаются свободными и равными в своем достоинстве и правах.", 17),  # noqa: RUF001
    ("人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。", 35),  # noqa: RUF001
    ("모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.", 25),
    ('{"name": "get_weather", "arguments": {"city": "Paris", "days": 3, "units": "metric"}}', 28),
]


@pytest.mark.parametrize(("text", "tokens"), _KNOWN)
def test_the_estimate_is_near(text: str, tokens: int) -> None:
    assert tokens / 1.6 <= Estimator().count(text) <= tokens * 1.6


def test_short_things() -> None:
    estimator = Estimator()
    assert estimator.count("") == 0
    assert [estimator.count(text) for text in ("a", " finally", "--------", "\n", "漢", "é")] == [1] * 6


@given(st.text(st.characters(), max_size=200))
def test_every_text_has_an_estimate(text: str) -> None:
    count = Estimator().count(text)
    assert 0 <= count <= max(1, 2 * len(text))
    assert (count == 0) == (not text)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_the_estimate_adds_up(one: str, other: str) -> None:
    assert uncorrected(one + other) == pytest.approx(uncorrected(one) + uncorrected(other))


def test_learning_moves_toward_what_is_seen_and_stays_in_bounds() -> None:
    estimator = Estimator()
    estimator.learn(10.0, 1000)
    assert estimator.ratio == 1.0, "too little text to learn from"
    for _ in range(50):
        estimator.learn(100.0, 150)
    assert estimator.ratio == pytest.approx(1.5, abs=0.01)
    for _ in range(100):
        estimator.learn(100.0, 10**12)
    assert estimator.ratio <= 4.0
    for _ in range(100):
        estimator.learn(10.0**9, 1)
    assert estimator.ratio >= 0.25


def test_a_sum_is_as_good_as_its_worst_part() -> None:
    assert [str(source) for source in CountSource] == [
        "engine_usage", "token_ids", "continuous_usage", "tokenizer", "estimate"]  # fmt: skip
    for better, worse in zip(CountSource, list(CountSource)[1:], strict=False):
        assert weaker(better, worse) is weaker(worse, better) is worse


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o-mini", "o200k_base"), ("gpt-4", "cl100k_base"), ("gpt-4-turbo", "cl100k_base"),
        ("gpt-4.1", "o200k_base"),
        ("o3-mini", "o200k_base"), ("o3x", None), ("openai/gpt-oss-20b", "gpt-oss"), ("Qwen/Qwen3-8B", "qwen3"),
        ("Qwen2.5-7B-Instruct", "qwen2"), ("text-embedding-3-small", "cl100k_base"), ("tiny", None),
        ("", None), ("a/", None),
    ],
)  # fmt: skip
def test_vocabularies_by_name(model: str, vocabulary: str | None) -> None:
    assert vocabulary_of(model) == vocabulary
