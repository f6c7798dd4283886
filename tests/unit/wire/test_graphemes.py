"""Where text may be cut."""

import pytest

from proxy.wire import graphemes


@pytest.mark.parametrize(
    ("text", "clusters"),
    [
        ("abc", ["a", "b", "c"]),
        ("e\u0301a", ["e\u0301", "a"]),
        ("🇩🇪🇫🇷🇮", ["🇩🇪", "🇫🇷", "🇮"]),
        ("a👩\u200d👧b", ["a", "👩\u200d👧", "b"]),
        ("각\u1100\u1161\u11a8나", ["각", "\u1100\u1161\u11a8", "나"]),
        ("क्षि क", ["क्षि", " ", "क"]),
        ("\r\n\n\r", ["\r\n", "\n", "\r"]),
        ("א\u05b8ב", ["א\u05b8", "ב"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
    ],
)
def test_borders_are_those_between_graphemes(text: str, clusters: list[str]) -> None:
    everywhere = range(1, len(text))
    assert graphemes.cut(text, graphemes.safe_borders(text, everywhere)) == clusters
    assert graphemes.cut(text, graphemes.snapped_borders(text, everywhere)) == clusters


def test_a_border_that_would_cut_moves_on_or_falls_away() -> None:
    assert list(graphemes.safe_borders("e\u0301a", [1, 2])) == [2]
    assert list(graphemes.snapped_borders("e\u0301ab", [1])) == [2]
    assert list(graphemes.snapped_borders("e\u0301", [1])) == []


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("the quick fox", ["the", " quick", " fox"]),
        (" a  b\n\nc.d", [" a", " ", " b", "\n\n", "c", ".", "d"]),
        ("été déjà", ["été", " déjà"]),
        ("", [""]),
        ("  ", ["  "]),
        ("x\n  y", ["x", "\n ", " y"]),
    ],
)
def test_words(text: str, pieces: list[str]) -> None:
    assert graphemes.cut(text, graphemes.word_starts(text)) == pieces
