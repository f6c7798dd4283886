"""First words are told apart."""

from proxy.live.workers import words
from proxy.live.workers.link import BEAT


def test_no_two_words_are_one() -> None:
    said = [value for name, value in vars(words).items() if name.isupper()]
    assert len(said) == len(set(said)) > 10
    assert BEAT not in said
