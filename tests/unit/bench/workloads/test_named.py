"""Workloads by the words of the command line."""

from pathlib import Path

import pytest

from proxy.bench.workloads.named import NAMED, source_of
from proxy.bench.workloads.recorded import BadFileError


@pytest.mark.parametrize("name", NAMED)
def test_each_has_its_name_and_makes_the_same_again(name: str) -> None:
    source = source_of([name])
    assert source.name == name
    assert source.total is None
    one, again = (source.session(5, 2).asks for _ in range(2))
    assert [ask.fields for ask in one] == [ask.fields for ask in again]


def test_files(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n')
    assert source_of([str(tmp_path / "p.jsonl")]).name == "prompts p.jsonl"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["short-chatt"], 'did you mean "short-chat"'),
        (["nothing-like-it"], "known: short-chat, long-form"),
        (["trace"], "write it like --workload trace FILE"),
        (["bulk", "x"], "bulk takes no 'x'"),
        (["trace", "/nowhere"], "/nowhere: No such file"),
    ],
)
def test_mistakes(words: list[str], said: str) -> None:
    with pytest.raises(BadFileError) as refused:
        source_of(words)
    assert said in str(refused.value)
