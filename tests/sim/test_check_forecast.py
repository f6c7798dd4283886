"""A forecast that is written down, and the log of what came."""

import json
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.report.run import SimulatedRun
from proxy.workload.arrival import HASH_TOKENS
from proxy.workload.generator import BLOCK_TOKENS
from proxy.workload.traces import read_trace
from tests.support.recorded import arrivals_of, played, rows_of, write_log

SLO = "interactive:ttft=400ms,tpot=40ms;bulk:e2e=60s"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = rows_of(played("3xlow_latency", arrivals_of(4, 40, 1, SLO)))
    return write_log(tmp_path_factory.mktemp("log") / "access.log", rows)


def forecast(log: Path, out: Path, engines: str) -> None:
    asked = ["simulate", "--engines", engines, "--trace", str(log), "--slo", SLO, "--forecast", str(out)]
    assert main(asked) == 0


def test_what_came_is_as_forecast(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same traffic before the same engines: what the simulator counts is what is counted in the log."""
    out = tmp_path / "forecast.json"
    traffic = ["--workload", "mixed", "--rate", "4", "--duration", "40s", "--seed", "1"]
    assert main(["simulate", "--engines", "3xlow_latency", *traffic, "--slo", SLO, "--forecast", str(out)]) == 0
    capsys.readouterr()
    code = main(["simulate", "--check-forecast", str(out), str(log)])
    told = capsys.readouterr().out
    assert code == 0, told
    assert told.count("holds") == 2
    assert "TTFT P99, interactive" in told
    assert "of its plays" not in told


def test_how_far_the_plays_of_a_forecast_are_apart_is_told_beside_it(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Moments that are 20 ms elsewhere make another P99: no run can be nearer to a forecast than that."""
    out = tmp_path / "forecast.json"
    asked = ["simulate", "--engines", "3xlow_latency", "--trace", str(log), "--slo", SLO, "--forecast", str(out)]
    assert main([*asked, "--seeds", "3", "--jitter", "20ms"]) == 0
    low, high = json.loads(out.read_text())["ttft_p99_range_s"]["interactive"]
    assert low < json.loads(out.read_text())["ttft_p99_s"]["interactive"] < high
    main(["simulate", "--check-forecast", str(out), str(log)])
    assert f"{low:.3f} to {high:.3f} s" in capsys.readouterr().out


def test_what_another_routing_would_find_in_caches_is_read_off_how_prompts_begin(tmp_path: Path) -> None:
    """Recorded where conversations stay where they are; asked for one that scatters them over four engines."""
    arrivals = arrivals_of(5, 40, 1, SLO)
    hits = {}
    for name, told in (("told", True), ("not told", False)):
        rows = rows_of(played("4xlow_latency", arrivals, policy="goodput"), prefixes=told)
        trace = read_trace(write_log(tmp_path / name, rows))
        assert trace.block_tokens == (BLOCK_TOKENS if told else HASH_TOKENS)
        hits[name] = found_in_caches(played("4xlow_latency", trace.arrivals, policy="random"))
    came = found_in_caches(played("4xlow_latency", arrivals, policy="random"))
    assert hits["told"] == pytest.approx(came, rel=0.1)
    assert hits["not told"] > 1.2 * came


def found_in_caches(run: SimulatedRun) -> float:
    """Share of the prompts' tokens."""
    hits = sum(stats.prefix_hits for stats in run.engines.values())
    return hits / sum(stats.prefix_queries for stats in run.engines.values())


def test_other_engines_than_were_thought(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    asked = ["simulate", "--engines", "2xhigh_throughput:slower=3", "--trace", str(log), "--slo", SLO, "--forecast"]
    assert main(asked) == 0
    assert (tmp_path / "tidegate" / "forecast.json").is_file()
    assert main(["simulate", "--check-yesterday", str(log)]) == 1
    assert "more than 5% apart" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "said"), [("", "holds no request"), ("text\n", "is no JSON")])
def test_a_log_that_tells_nothing(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    forecast(log, tmp_path / "f.json", "3xlow_latency")
    (tmp_path / "log").write_text(text)
    assert main(["simulate", "--check-forecast", str(tmp_path / "f.json"), str(tmp_path / "log")]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{}", "[]", "x", '{"forecast": 2}', '{"forecast": 1, "goodput": 1}'])
def test_what_is_no_forecast(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "f.json").write_text(text)
    assert main(["simulate", "--check-forecast", str(tmp_path / "f.json"), str(log)]) == 1
    assert "is no forecast" in capsys.readouterr().err
