"""Tokens, hashes and stop sequences."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.sim.http.text import (
    count_tokens,
    cut_at_stop,
    cut_tokens,
    natural_length,
    prefix_hashes,
    rng_for,
    sentence_tokens,
)


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    tokens = cut_tokens(text)
    assert "".join(tokens) == text
    assert all(0 < len(token) <= 4 for token in tokens)
    assert count_tokens(text) >= 1


@given(st.integers(0, 1 << 60), st.integers(1, 200))
def test_sentences_have_the_length_asked_for(seed: int, count: int) -> None:
    tokens = sentence_tokens(Random(seed), count)
    assert len(tokens) == count
    assert tokens == sentence_tokens(Random(seed), count + 7)[:count], "a longer answer begins alike"
    assert 1 <= natural_length(Random(seed)) <= 2048


def test_random_parts_are_the_same_on_every_machine() -> None:
    assert rng_for("prompt", 0).getrandbits(32) == 3_668_904_759
    assert rng_for("prompt", 1).getrandbits(32) != rng_for("prompt", 0).getrandbits(32)


@given(st.text(min_size=0, max_size=300), st.text(max_size=50), st.text(max_size=50))
def test_hashes_agree_exactly_as_far_as_whole_pieces_do(start: str, one: str, other: str) -> None:
    left, right = prefix_hashes(start + one, 4), prefix_hashes(start + other, 4)
    agree = 0
    raw = (start + one).encode(), (start + other).encode()
    while agree < min(len(left), len(right)) and raw[0][: 16 * (agree + 1)] == raw[1][: 16 * (agree + 1)]:
        agree += 1
    assert left[:agree] == right[:agree]
    assert all(a != b for a, b in zip(left[agree:], right[agree:], strict=False)), "chained: never again"
    assert len(left) == len(raw[0]) // 16


def test_token_ids_hash_by_value() -> None:
    assert prefix_hashes([1, 2, 3, 4, 5], 4) == prefix_hashes([1, 2, 3, 4, 6], 4)
    assert prefix_hashes([1, 2, 3, 9], 4) != prefix_hashes([1, 2, 3, 4], 4)


@given(st.text(alphabet="abc", max_size=40), st.lists(st.text(alphabet="abc", min_size=1, max_size=3), max_size=3))
def test_text_ends_before_the_first_stop_sequence(text: str, stops: list[str]) -> None:
    kept, stop = cut_at_stop(cut_tokens(text), stops)
    joined = "".join(kept)
    if stop is None:
        assert joined == text
        assert not any(one in text for one in stops)
    else:
        assert text.startswith(joined + stop)
        assert not any(one in joined for one in stops)
