"""The fewest backends for recorded traffic, against playing every fleet there is."""

from pathlib import Path

import pytest

from proxy.app.forecast.capacity import Planner, fleets
from proxy.app.forecast.played import kinds_of, traffic_of
from proxy.bench.forecast.counts import everything
from proxy.cli.main import main
from proxy.sim.world.slo import parse_slo
from tests.support.recorded import arrivals_of, played, rows_of, write_log

SLO = "interactive:ttft=400ms,tpot=40ms;bulk:e2e=60s"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = rows_of(played("6xlow_latency", arrivals_of(8, 15, 1)))
    return write_log(tmp_path_factory.mktemp("log") / "access.log", rows)


def test_within_one_of_the_best_that_there_is(log: Path) -> None:
    planner = Planner(kinds_of("low_latency,high_throughput"), traffic_of(log, parse_slo(SLO)), 0.95)
    found = fleets(planner, 5)
    best = next(fleet for fleet in everything(list(planner.kinds), 5) if planner.is_good(fleet))
    assert found
    assert planner.is_good(found[0])
    assert abs(found[0].total - best.total) <= 1


def test_as_a_person_runs_it(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["plan", "--slo", SLO, "--trace", str(log), "--engines", "low_latency", "--goal", "90%", "--most", "6"]
    assert main(asked) == 0
    told = capsys.readouterr().out
    assert "smallest: " in told
    assert "not calibrated" in told


def test_where_none_is_enough(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["plan", "--slo", "ttft=1ms", "--trace", str(log), "--engines", "low_latency", "--most", "2"]
    assert main(asked) == 1
    assert "2 backends of no kind keep it for 99.0%" in capsys.readouterr().err


def test_without_a_promise_or_a_shape(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--trace", str(log)]) == 1
    assert "needs --slo" in capsys.readouterr().err
    assert main(["plan", "--layers", "3"]) == 2
    assert "--kv-heads" in capsys.readouterr().err
