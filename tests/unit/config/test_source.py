"""Reading a file within bounds, and showing a line without its secrets."""

from pathlib import Path

import pytest

from proxy.config.source import (
    MAX_FILE_BYTES,
    MAX_LINE_CHARACTERS,
    Position,
    Span,
    UnreadableError,
    looks_secret,
    masked_line,
    masked_text,
    read_text,
)


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "c.yaml"
    path.write_bytes(data)
    return path


def test_utf_8_with_and_without_a_byte_order_mark(tmp_path: Path) -> None:
    assert read_text(written(tmp_path, "a: ü\r\n".encode())) == "a: ü\r\n"
    assert read_text(written(tmp_path, b"\xef\xbb\xbfa: 1\n")) == "a: 1\n"


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        (b"a: 1\nb: \xff\n", (2, 4), "not UTF-8"),
        ("a: 1".encode("utf-16"), (1, 1), "not UTF-8"),
        (b"a: 1\nbc\x00", (2, 3), r"control character U\+0000"),
        (b"a: \x1b[31m", (1, 4), r"control character U\+001B"),
        ("a: \u2028".encode(), (1, 4), r"control character U\+2028"),
        ("a: \x85".encode(), (1, 4), r"control character U\+0085"),
    ],
)
def test_not_text(tmp_path: Path, data: bytes, place: tuple[int, int], words: str) -> None:
    with pytest.raises(UnreadableError, match=words) as caught:
        read_text(written(tmp_path, data))
    assert caught.value.position == place


@pytest.mark.parametrize(
    ("size", "fits"), [(MAX_FILE_BYTES - 1, True), (MAX_FILE_BYTES, True), (MAX_FILE_BYTES + 1, False)]
)
def test_the_size_bound(tmp_path: Path, size: int, fits: bool) -> None:
    path = written(tmp_path, b"#" * size)
    if fits:
        assert len(read_text(path)) == size
    else:
        with pytest.raises(UnreadableError, match="larger than 1 MiB"):
            read_text(path)


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(UnreadableError, match="larger than 1 MiB"):
        read_text(Path("/dev/zero"))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        read_text(tmp_path / "nowhere.yaml")
    with pytest.raises(UnreadableError, match="is a directory"):
        read_text(tmp_path)
    with pytest.raises(UnreadableError, match="not a directory"):
        read_text(written(tmp_path, b"") / "x")
    with pytest.raises(UnreadableError, match="not a path"):
        read_text(Path("a\0b"))
    with pytest.raises(UnreadableError, match="too long"):
        read_text(Path("a" * 5000))


@pytest.mark.parametrize("key", ["api_key", "api_kye", "apikey", "API-Key", "hf_token", "password", "client_secret"])
def test_secret_keys(key: str) -> None:
    assert looks_secret(key)


@pytest.mark.parametrize("key", ["url", "name", "models", "max_tokens", "aliases", "keepalive", "head", "retries"])
def test_other_keys(key: str) -> None:
    assert not looks_secret(key)


@pytest.mark.parametrize(
    ("line", "above", "shown"),
    [
        ("  api_key: abc", "", "  api_key: ***"),
        ("  api_key abc", "", "  api_key ***"),
        ("  'api_key': 'abc'", "", "  'api_key': *****"),
        ("  api_key: ${ABC}", "", "  api_key: ${ABC}"),
        ("    abc", "  api_key: |", "*******"),
        ("    abc", "  api_key:", "*******"),
        ("  url: http://me:pw@host", "", "  url: http://*****@host"),
        ("  url: me:pw@host", "", "  url: *****@host"),
        ("  name: sk-abcdefghijklmnop", "", "  name: *******************"),
        ("  forward: [authorization]", "", "  forward: [authorization]"),
        ("  body: {size: 1}", "head:", "  body: {size: 1}"),
    ],
)
def test_a_line_that_was_not_understood_shows_nothing_that_may_be_secret(line: str, above: str, shown: str) -> None:
    assert masked_line([above, line], 2, [], understood=False) == shown


def test_known_spans_are_masked_over_several_lines_and_columns_stay() -> None:
    lines = ["{api_key: 'ab", "  cd', x: 1}"]
    span = Span(Position(1, 11), Position(2, 6))
    assert [masked_line(lines, n, [span], understood=True) for n in (1, 2)] == ["{api_key: ***", "*****, x: 1}"]


def test_lines_that_are_not_shown() -> None:
    assert masked_line(["x"], 2, [], understood=True) == ""
    assert masked_line(["x" * MAX_LINE_CHARACTERS], 1, [], understood=True) != ""
    assert masked_line(["x" * (MAX_LINE_CHARACTERS + 1)], 1, [], understood=True) == ""


def test_messages_are_masked_too() -> None:
    assert masked_text('"sk-proj-abcdefghijklmnop" is not a name') == '"***" is not a name'
    assert masked_text("a plain message: ok") == "a plain message: ok"
