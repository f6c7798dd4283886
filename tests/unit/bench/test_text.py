"""Prose: the same from the same seed, and about a token a word by any count."""

from proxy.bench.text import prose, rng_of
from proxy.live.tokenizers import load_vocabulary


def test_the_same_seed_the_same_words() -> None:
    assert prose(rng_of("a", 1), 50) == prose(rng_of("a", 1), 50)
    assert prose(rng_of("a", 1), 50) != prose(rng_of("a", 2), 50)


def test_it_is_about_so_many_tokens() -> None:
    text = prose(rng_of(1), 1000)
    assert 0.85 < len(text) / 4 / 1000 < 1.15
    vocabulary = load_vocabulary("o200k_base")
    assert vocabulary is not None
    assert 0.95 < vocabulary.encode_count(text) / 1000 < 1.15


def test_there_is_always_a_word() -> None:
    assert prose(rng_of(1), 0)
