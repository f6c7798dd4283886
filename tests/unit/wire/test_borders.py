"""Text cut into a known number of tokens: nothing is lost, characters stay whole, the best evidence goes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import borders
from proxy.wire.deltas import Segment, TextSlice
from proxy.wire.tokens import TEXT_MAX


class Letters:
    """A vocabulary of single characters."""

    def encode_count(self, text: str) -> int:
        return len(text)

    def pieces(self, text: str) -> list[str]:
        return list(text)


class Broken:
    """One that cannot."""

    def encode_count(self, text: str) -> int:
        raise ValueError

    def pieces(self, text: str) -> list[str]:
        raise ValueError


class Liar(Letters):
    """One that loses text."""

    def pieces(self, text: str) -> list[str]:
        return [*text[:-1], "?"]


def runs(*texts: str) -> list[Segment]:
    return [Segment((f"field{at}",), -1, text) for at, text in enumerate(texts)]


def test_what_the_engine_names_goes_before_any_tokenizer() -> None:
    cut = borders.slices(runs("abcd"), 2, [b"abc", b"d"], Letters(), 9)
    assert cut == [TextSlice(0, "abc", 0, 1), TextSlice(0, "d", 1, 2)]


def test_names_of_another_text_are_no_evidence() -> None:
    cut = borders.slices(runs("one two"), 2, [b"xyz", b"!"], None, 9)
    assert [piece.text for piece in cut] == ["one", " two"]


@pytest.mark.parametrize("tokenizer", [None, Broken(), Liar(), Letters()])
def test_a_tokenizer_that_does_not_see_as_many_is_not_asked(tokenizer: Letters | Broken | None) -> None:
    assert borders.text_pieces("one two", 2, tokenizer, 9) == [("one", 1), (" two", 1)]


def test_a_tokenizer_that_agrees_says_where() -> None:
    assert borders.text_pieces("a b", 3, Letters(), 9) == [("a", 1), (" ", 1), ("b", 1)]
    assert borders.tokenizer_pieces("ab", 2, Liar()) is None


def test_several_runs_share_the_tokens_by_length_and_each_has_one() -> None:
    cut = borders.slices(runs("x", " a b c d e f"), 7, None, None, 99)
    assert [(piece.segment, piece.text) for piece in cut][:2] == [(0, "x"), (1, " a")]
    assert (cut[0].start, cut[-1].end) == (0, 7)


@pytest.mark.parametrize(
    ("texts", "k", "limit"), [(("ab",), 1, 9), ((), 3, 9), (("a", "b", "c"), 2, 9), (("a b", "c"), 9, 1)]
)
def test_what_cannot_be_cut_stays_whole(texts: tuple[str, ...], k: int, limit: int) -> None:
    assert borders.slices(runs(*texts), k, None, None, limit) == []


def test_a_border_inside_a_character_is_none() -> None:
    face = "😀".encode()
    cut = borders.slices(runs("😀!"), 3, [face[:2], face[2:], b"!"], None, 9)
    assert cut == [TextSlice(0, "😀", 0, 2), TextSlice(0, "!", 2, 3)]


def test_long_text_is_cut_without_looking_for_tokens() -> None:
    text = "x" * (TEXT_MAX + 1)
    pieces = borders.text_pieces(text, 1000, Letters(), 50)
    assert "".join(piece for piece, _ in pieces) == text
    assert sum(count for _, count in pieces) == 1000
    assert 1 < len(pieces) <= 50


def test_envelopes_are_not_repeated_without_bound() -> None:
    assert borders.most_pieces(1 << 20) == 4
    assert borders.most_pieces(1 << 30) == 1
    assert borders.most_pieces(0) > 1000


@given(text=st.text(max_size=60), k=st.integers(1, 80), limit=st.integers(1, 40))
def test_pieces_add_up_to_the_text_and_to_the_tokens(text: str, k: int, limit: int) -> None:
    pieces = borders.text_pieces(text, k, None, limit)
    assert "".join(piece for piece, _ in pieces) == text
    assert sum(count for _, count in pieces) == k
    assert len(pieces) <= max(1, limit)
