"""What is no YAML and came along: told as what it is, where it is."""

# ruff: noqa: E501 - one case per line reads as a table

import pytest

from tests.support.mistakes.judge import told

HEAD = "version: 1\nbackends:\n  - url: http://a\n"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (HEAD + "<<<<<<< HEAD\nlog: {level: info}\n=======\nlog: {level: debug}\n>>>>>>> main\n", (4, 1), "a merge conflict was left here"),
        ("=======\n" + HEAD, (1, 1), "a merge conflict was left here"),
        ("```yaml\n" + HEAD, (1, 1), "``` is Markdown, not YAML"),
        (HEAD + "...\nlog: {level: info}\n", (4, 1), "... ends the document"),
        (HEAD + "-- as discussed\nlog: {level: info}\n", (4, 1), "-- does not begin a comment"),
        (HEAD + "as discussed\nlog: {level: info}\n", (4, 1), "this is neither an option nor a comment"),
        (HEAD + '    "name": "a",\n    pool: b\n', (4, 16), "a comma stands at the end of this line, as in JSON"),
        ('{\n  "version": 1\n  "backends": [{"url": "http://a"}]\n}\n', (2, 15), "a comma is missing at the end of this line"),
        (HEAD + "\ufefflog: {level: info}\n", (4, 1), "a character that cannot be seen (U+FEFF) is used for indentation"),
    ],
)  # fmt: skip
def test_what_came_along_is_told_once(text: str, place: tuple[int, int], message: str) -> None:
    (only,) = told(text)
    assert ((only.line, only.column), only.message) == (place, message)
    assert only.hint


def test_equals_signs_in_a_text_are_no_conflict() -> None:
    assert told(HEAD + "    hardware: |\n      =======\n") == []
