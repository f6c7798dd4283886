"""`tidegate calibrate`, as a person runs it, on logs of proxies that ran on virtual time."""

import json
from pathlib import Path

import pytest
import yaml

from proxy.cli.main import main
from proxy.sim.engine.spec import LOW_LATENCY
from tests.support.recorded import arrivals_of, played, rows_of, write_log


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(
        tmp_path_factory.mktemp("log") / "access.log", rows_of(played("1xlow_latency", arrivals_of(2.5, 80, 1)))
    )


def test_engines_that_were_modelled_are_found_again(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "engines.yaml"
    assert main(["calibrate", str(log), "--out", str(out)]) == 0
    file = yaml.safe_load(out.read_text())
    assert file["calibration"]["error"] <= 0.15
    assert {one["backend"] for one in file["engines"]} == {"low_latency-1"}
    for one in file["engines"]:
        assert one["constants"]["prefill_s_per_token"] == pytest.approx(LOW_LATENCY.prefill_s_per_token, rel=0.15)
        assert one["constants"]["step_s"] == pytest.approx(LOW_LATENCY.step_s, rel=0.15)
    said = capsys.readouterr().out
    assert "on held-out time" in said
    assert "E2E P50" in said
    assert main(["simulate", "--engines", str(out), "--trace", str(log), "--limit", "50"]) == 0
    capsys.readouterr()
    promise = ["--slo", "ttft=2s,tpot=100ms", "--trace", str(log), "--engines", str(out)]
    assert main(["plan", *promise, "--goal", "90%", "--most", "2"]) == 0
    assert f"at most {file['calibration']['error']:.1%} off" in capsys.readouterr().out
    written = tmp_path / "forecast.json"
    assert main(["simulate", *promise, "--limit", "50", "--forecast", str(written)]) == 0
    assert json.loads(written.read_text())["error"] == file["calibration"]["error"]


def test_a_model_that_is_too_far_off_forecasts_nothing(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last part of the time was four times as slow: what was learned before does not hold there."""
    rows = rows_of(played("1xlow_latency:slow x3 from 56s to 300s", arrivals_of(2.5, 80, 1)))
    out = tmp_path / "engines.yaml"
    assert main(["calibrate", str(write_log(tmp_path / "log", rows)), "--out", str(out)]) == 1
    assert "no forecast is made" in capsys.readouterr().err
    assert main(["simulate", "--engines", str(out), "--trace", str(log), "--limit", "50"]) == 1
    said = capsys.readouterr().err
    assert "above 15%" in said
    assert "all tpot_p50" in said
    routing = tmp_path / "routing.yaml"
    routing.write_text("version: 1\nbackends: [{url: 'http://127.0.0.1:1', name: low_latency-1}]\n")
    for command in (["plan"], ["tune", str(routing)]):
        assert main([*command, "--slo", "ttft=2s", "--trace", str(log), "--engines", str(out)]) == 1
        assert "above 15%" in capsys.readouterr().err


@pytest.mark.parametrize("rate", [9, 13])
def test_what_came_at_and_above_what_engines_hold_is_no_reason_to_refuse_them(rate: float, tmp_path: Path) -> None:
    """They were just full for all of the time: a model that is sent calls by the clock, not when it has room, would be
    23 % off for 1 % in the cost of a step."""
    rows = rows_of(played("2xlow_latency", arrivals_of(rate, 80, 1, "interactive:ttft=400ms,tpot=40ms;bulk:e2e=60s")))
    out = tmp_path / "engines.yaml"
    assert main(["calibrate", str(write_log(tmp_path / "log", rows)), "--out", str(out)]) == 0
    file = yaml.safe_load(out.read_text())
    assert file["calibration"]["error"] <= 0.1
    for one in file["engines"]:
        constants = one["constants"]
        step_s = constants["step_s"] + 14 * constants["step_s_per_sequence"]
        assert step_s == pytest.approx(LOW_LATENCY.step_s + 14 * LOW_LATENCY.step_s_per_sequence, rel=0.15)


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), ("no json\n", "log: {format: json}")])
def test_what_is_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    assert main(["calibrate", str(path), "--out", str(tmp_path / "out.yaml")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.yaml").exists()


def test_too_few_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(played("2xlow_latency", arrivals_of(1, 20, 1)))
    assert main(["calibrate", str(write_log(tmp_path / "log", rows)), "--out", str(tmp_path / "out.yaml")]) == 1
    assert "too few calls to learn from" in capsys.readouterr().err
