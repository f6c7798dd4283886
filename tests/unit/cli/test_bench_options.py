"""The words of `tidegate bench`: what they mean together, and those that do not go together."""

import argparse
from pathlib import Path

import pytest

from proxy.bench.options import Options
from proxy.bench.sweep import SweepError
from proxy.cli.bench_options import UsageError, add_arguments, options_of

URL = ["--url", "http://127.0.0.1:8080"]
LOAD = [*URL, "--concurrency", "8", "--requests", "10"]


def read(*words: str) -> Options:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_of(parser.parse_args(words), ["bench", *words])


def test_loads() -> None:
    one = read(*URL, "--concurrency", "8,32", "--rate", "5,2.5", "--duration", "60s")
    assert [(load.process, load.concurrency, load.rate_per_s) for load in one.loads] == [
        ("closed", 8, None), ("closed", 32, None), ("poisson", None, 5.0), ("poisson", None, 2.5),
    ]  # fmt: skip
    assert (one.duration_s, one.requests) == (60.0, None)
    burst = read(*URL, "--rate", "5", "--cv", "3", "--requests", "9")
    assert (burst.loads[0].process, burst.loads[0].cv) == ("gamma", 3.0)
    trace = read(*URL, "--workload", "trace", "t.jsonl", "--speed", "0.5,2")
    assert [(load.process, load.speed) for load in trace.loads] == [("trace", 0.5), ("trace", 2.0)]
    assert trace.workload == ("trace", "t.jsonl")


def test_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_API_KEY", "sk-ours")
    monkeypatch.setenv("TIDEGATE_DIRECT_API_KEY", "sk-theirs")
    words = [*LOAD, "--direct", "http://127.0.0.1:8001", "--seed", "1,2", "--cancel", "10%", "--cache", "both"]
    one = read(*words, "--sweep", "window.max_wait=0,5", "--header", "x-team: a", "--out", "d")
    assert (one.seeds, one.cancel, one.caches, one.out) == ((1, 2), 0.1, ("cold", "warm"), Path("d"))
    assert one.axes[0].values == ("0", "5")
    assert one.headers["url"] == {"x-team": "a", "authorization": "Bearer sk-ours"}
    assert one.headers["direct"] == {"x-team": "a", "authorization": "Bearer sk-theirs"}
    assert one.is_paired


def test_keys_do_not_go_into_the_run() -> None:
    one = read(*LOAD, "--header", "Authorization: Bearer sk-1", "--header", "x-team: a")
    assert "sk-1" not in " ".join(one.argv)
    assert "x-team: a" in one.argv


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--concurrency", "8", "--requests", "10"], "--url says what is measured"),
        ([*URL, "--concurrency", "8"], "--requests N or --duration TIME"),
        ([*URL, "--requests", "8"], "--concurrency \\(closed loop\\) or --rate"),
        ([*LOAD, "--duration", "5s"], "either --requests or --duration"),
        ([*LOAD, "--speed", "2"], "--speed is of a trace"),
        ([*LOAD, "--cv", "0"], "--cv must be above 0"),
        ([*LOAD, "--resume"], "--resume goes on with the run in --out DIR"),
        ([*LOAD, "--warmup", "-1"], "numbers of requests"),
        ([*URL, "--rate", "5", "--duration", "5s", "--cache", "warm"], "--requests N instead of --duration"),
    ],
)
def test_what_does_not_go_together(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(*words)


def test_a_sweep_that_is_none() -> None:
    with pytest.raises(SweepError):
        read(*LOAD, "--sweep", "window.max_wait")


@pytest.mark.parametrize(
    "words",
    [
        ["--concurrency", "0"],
        ["--concurrency", "8,x"],
        ["--rate", "0"],
        ["--rate", "nan"],
        ["--seed", "-1"],
        ["--cancel", "110%"],
        ["--cache", "hot"],
        ["--url", "ftp://x"],
    ],
)
def test_words_that_are_none(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(*words)
    assert "error: argument" in capsys.readouterr().err
