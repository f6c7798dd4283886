"""Details: what is written comes back; a summary of gaps; what is wrong is said with its line."""

from pathlib import Path

import pytest

from proxy.bench.details import BadDetailsError, DetailWriter, Gaps, digest_of, gaps_of, read_details
from tests.unit.bench.requests_made import detail

FULL = detail(
    index=7,
    outcome="broken",
    error="the connection was closed",
    side="direct",
    request_id="r-1",
    backend="alpha",
    stages_ms={"queue": 1.5, "prefill": 20.0},
    answer_cache="miss",
    cached_prompt_tokens=16,
    batch_size=3,
    waited_ms=2.0,
    tokens_source="usage",
    gaps=Gaps(2, 10.0, 9.0, 11.0, 11.0),
    text_digest="ab" * 8,
    text_chars=3,
    text="ä\n",
)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "details.jsonl"
    with DetailWriter(path) as writer:
        writer.write(detail())
        writer.write(FULL)
    assert read_details(path) == [detail(), FULL]
    assert path.read_bytes().count(b"\n") == 2


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "details.jsonl"
    with DetailWriter(path) as writer:
        writer.write(FULL)
        writer.write(FULL)
    path.write_bytes(path.read_bytes()[:-5])
    assert read_details(path) == [FULL]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}\n", ":1: cell: Field required"),
        ("no\n", ":1: Invalid JSON"),
        ('{"cell": 1}\n', ":1: cell: Input should be a valid string"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "details.jsonl"
    path.write_text(text)
    with pytest.raises(BadDetailsError) as refused:
        read_details(path)
    assert str(refused.value).startswith(f"{path}{said}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadDetailsError, match="No such file"):
        read_details(tmp_path / "details.jsonl")


def test_gaps_are_those_between_neighbours() -> None:
    assert gaps_of([0.0]) is None
    assert gaps_of([1.0, 1.01, 1.03]) == Gaps(2, 15.0, 10.0, 20.0, 20.0)


def test_digests_tell_parts_apart() -> None:
    assert digest_of(b"ab", b"c") != digest_of(b"a", b"bc")
    assert digest_of(b"ab") == digest_of(b"ab")
    assert len(digest_of(b"")) == 16
