"""Files: traces whose prefixes are shared again, prompts in the forms that people have them in, and their mistakes."""

import json
from pathlib import Path

import pytest

from proxy.bench.workloads.recorded import BadFileError, read_prompts, read_trace_load

HEADER = '{"tidegate_trace": 1, "block_tokens": 64}\n'


def trace(tmp_path: Path, *lines: dict[str, object]) -> Path:
    path = tmp_path / "t.jsonl"
    path.write_text(HEADER + "".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_trace_keeps_moments_sizes_and_shared_prefixes(tmp_path: Path) -> None:
    lines = [
        {"at": 5.0, "prompt_tokens": 200, "output_tokens": 9, "prefix": [1, 2], "class": "bulk", "stream": False},
        {"at": 7.0, "prompt_tokens": 150, "output_tokens": 3, "prefix": [1, 3]},
    ]
    load = read_trace_load(trace(tmp_path, *lines), speed=2.0)
    (one, other) = (load.session(1, number) for number in range(2))
    assert (one.at, other.at, load.total, load.name) == (0.0, 1.0, 2, "trace t.jsonl")
    first, second = (session.asks[0].fields["messages"][0]["content"].split() for session in (one, other))
    assert (len(first), len(second)) == (200, 150)
    assert first[:64] == second[:64]
    assert first[64:128] != second[64:128]
    assert one.asks[0].fields["max_tokens"] == 9
    assert one.asks[0].fields["stream"] is False
    assert one.asks[0].headers == {"x-tidegate-class": "bulk"}


def test_what_warms_up_is_as_long_and_says_something_else(tmp_path: Path) -> None:
    load = read_trace_load(trace(tmp_path, {"at": 0, "prompt_tokens": 100, "output_tokens": 1, "prefix": [1]}))
    measured, warm = (load.session(1, number).asks[0].fields["messages"][0]["content"].split() for number in (0, -1))
    assert len(measured) == len(warm)
    assert measured[:64] != warm[:64]


def test_a_broken_trace(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"t\.jsonl:2: at is missing"):
        read_trace_load(trace(tmp_path, {"prompt_tokens": 1, "output_tokens": 1}))


def test_prompts_in_the_forms_that_people_have(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}, {"from": "human", "value": "c"},
             {"from": "gpt", "value": "d"}]  # fmt: skip
    lines = [
        {"prompt": "hello", "max_tokens": 5},
        {"messages": [{"role": "user", "content": "hi"}], "temperature": 1},
        {"conversations": turns},
        {"input": "embed me"},
        {"custom_id": "x", "body": {"model": "own", "messages": [{"role": "user", "content": "q"}]}},
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    load = read_prompts(path)
    asks = [load.session(0, number).asks[0] for number in range(6)]
    assert asks[0].fields["messages"] == [{"role": "user", "content": "hello"}]
    assert (asks[0].output_tokens, asks[0].fields["max_tokens"]) == (5, 5)
    assert (asks[1].fields["temperature"], asks[1].fields["stream"], asks[1].output_tokens) == (1, True, 256)
    assert [one["content"] for one in asks[2].fields["messages"]] == ["a", "b", "c"]
    assert asks[3].kind == "embeddings"
    assert asks[4].fields["model"] == "own"
    assert asks[5] == asks[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no prompt"),
        ('{"prompt": "a"}\nnonsense\n', "p.jsonl:2: "),
        ("[1]\n", "p.jsonl:1: not an object"),
        ('{"question": "a"}\n', "p.jsonl:1: holds none of `prompt`, `messages`"),
        ('{"prompt": "a", "max_tokens": 0}\n', "p.jsonl:1: max_tokens is no whole number above 0"),
        ('{"conversations": [{"from": "gpt", "value": "a"}]}\n', "p.jsonl:1: conversations holds no question"),
        ('{"conversations": 1}\n', "p.jsonl:1: conversations is no list of turns"),
    ],
)
def test_mistakes_in_prompts(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(BadFileError) as refused:
        read_prompts(path)
    assert said in str(refused.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match="No such file"):
        read_prompts(tmp_path / "p.jsonl")


def test_what_was_embedded_is_embedded_again(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    row = {"time": "2026-01-01T00:00:01.000Z", "outcome": "served", "path": "/v1/embeddings", "e2e_ms": 20.0}
    path.write_text(json.dumps(row | {"class": "search", "prompt_tokens": 40, "completion_tokens": None}) + "\n")
    [ask] = read_trace_load(path).session(1, 0).asks
    assert (ask.kind, ask.output_tokens, ask.headers) == ("embeddings", 0, {"x-tidegate-class": "search"})
    assert len(ask.fields["input"].split()) == 40
