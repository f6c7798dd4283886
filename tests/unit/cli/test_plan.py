"""tidegate plan."""

import json
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.config.loader import load_text
from proxy.config.secrets import SecretSource

SHAPE = ["--layers", "32", "--kv-heads", "8", "--head-dim", "128", "--dtype", "fp8"]
CARD = [*SHAPE, "--memory", "80GB", "--weights", "16GB", "--utilization", "0.9", "--block", "16"]


def test_the_answer_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *SHAPE, "--memory", "24GiB", "--context", "8192", "--context", "1000000"]) == 0
    text = capsys.readouterr().out
    assert "KV budget       393,216 tokens" in text
    assert "per token       64 KiB" in text
    assert "        8,192   48\n" in text
    assert "    1,000,000   0 (one is more than the whole budget)" in text


def test_usual_lengths_where_none_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *SHAPE, "--memory", "24GiB", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["requests"] == {"2048": 192, "8192": 48, "32768": 12, "131072": 3}
    assert answer["kv_tokens"] == answer["config"]["kv_tokens"] == 393_216
    assert answer["bytes_per_token"] == 65_536


@pytest.mark.parametrize("arguments", [[*SHAPE, "--memory", "24GiB"], CARD, [*CARD, "--tensor-parallel", "2"]])
def test_the_lines_it_prints_give_a_configuration_the_same_number(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *arguments]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("    kv_")]
    assert main(["plan", *arguments, "--json"]) == 0
    tokens = json.loads(capsys.readouterr().out)["kv_tokens"]
    assert len(lines) == 2
    for line in lines:
        found = load_text(f"version: 1\nbackends:\n  - url: http://a\n{line}\n", "f", SecretSource({}, Path()))
        assert found.diagnostics == []
        assert found.config is not None
        assert found.config.backends[0].spec().kv_tokens == tokens


def test_everything_that_is_wrong_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--layers", "0", "--kv-heads", "x", "--head-dim", "128", "--dtype", "fp61", "--memory", "24"]
    assert main(["plan", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "tidegate plan: --layers must be at least 1",
        "tidegate plan: --kv-heads must be a whole number",
        'tidegate plan: --dtype must be one of fp32, fp16, bf16, fp8, int8, int4, q8_0, q4_0; did you mean "fp16"?',
        "tidegate plan: --memory 24 has no unit; known: B, KiB, MiB, GiB, kB, MB, GB",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: --layers, --kv-heads, --head-dim, --memory"),
        ([*CARD, "--context", "0"], "must be a whole number above 0"),
        ([*CARD, "--context", "8k"], "must be a whole number above 0"),
        (
            [*CARD, "--weights", "80GB"],
            "tidegate plan: the weights (74.51 GiB) leave nothing for KV of 74.51 GiB",
        ),
        ([*CARD, "--tensor-parallel", "3"], "8 kv_heads cannot be shared by 3 cards"),
        ([*CARD, "--utilization", "nan"], "--utilization must be at most 1"),
    ],
)
def test_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *arguments]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""
    assert "Traceback" not in told.err
