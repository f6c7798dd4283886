"""Names that two have are told at the second one, and once."""

import pytest

from tests.support.mistakes.judge import told

HEAD = "version: 1\nbackends:\n  - url: http://a\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD + "    name: x\n  - url: http://b\n    name: x\n", 6, '"x" is the name of backends[0] too'),
        (
            HEAD + "classes:\n  - name: chat\n  - name: bulk\n  - name: chat\n",
            7,
            '"chat" is the name of classes[0] too',
        ),
        (HEAD + "routing:\n  models:\n    - name: m\n    - name: m\n", 7, '"m" is the name of routing.models[0] too'),
        (
            HEAD + "routing:\n  windows:\n    - endpoint: rerank\n    - endpoint: rerank\n",
            7,
            '"rerank" is the endpoint of routing.windows[0] too',
        ),
        (HEAD + "  - url: http://a:80\n", 4, "is the URL of backends[0] too: one engine, counted twice"),
    ],
)
def test_the_second_one_is_told(text: str, line: int, words: str) -> None:
    (only,) = told(text)
    assert (only.line, only.message) == (line, words)
    assert only.hint


def test_three_of_one_name_are_two_too_many() -> None:
    found = told(HEAD + "classes: [{name: a}, {name: a}, {name: a}]\n")
    assert [one.path for one in found] == ["classes[1].name", "classes[2].name"]
