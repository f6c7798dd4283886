"""`tidegate tune`, as a person runs it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.app.forecast import tune
from proxy.app.forecast.verify import Live, Measured, held
from proxy.bench.run_folder import read_run
from proxy.bench.series import Series, series_of
from proxy.cli.main import main
from proxy.workload.arrival import Arrival, Slo
from tests.support.bench_runs import made_up_run
from tests.support.recorded import arrivals_of, played, rows_of, write_log

SLO = "interactive:ttft=400ms,tpot=40ms;bulk:e2e=60s"
FILE = """version: 1
backends:
- {name: a, url: 'http://127.0.0.1:1'}
- {name: b, url: 'http://127.0.0.1:2'}
routing: {admission: {tpot_margin: 3.0, mode: enforce}}   # a mistake
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = rows_of(played("3xlow_latency", arrivals_of(4, 20, 1, SLO)))
    return write_log(tmp_path_factory.mktemp("log") / "access.log", rows)


def test_a_margin_that_refuses_too_much_is_found(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(FILE)
    asked = ["tune", str(file), "--slo", SLO, "--trace", str(log), "--engines", "low_latency", "--budget", "10m"]
    assert main(asked) == 0
    told = capsys.readouterr().out
    assert "as it is" in told
    assert "-    tpot_margin: 3.0" in told
    assert "measured: not" in told
    assert file.read_text() == FILE
    assert main([*asked, "--write"]) == 0
    assert "tpot_margin: 3.0" not in file.read_text()
    assert main(["check", str(file)]) == 0


def test_what_is_wrong_is_said(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "routing.yaml"
    asked = ["tune", str(file), "--slo", SLO, "--trace", str(log), "--engines", "low_latency"]
    assert main(asked) == 1
    assert "routing.yaml" in capsys.readouterr().err
    file.write_text("version: 1\nbackend: []\n")
    assert main(asked) == 1
    assert "the configuration is wrong" in capsys.readouterr().err


def test_what_was_measured_decides(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of runs that are made up: the second way is better by more than noise, the others are not."""
    file = tmp_path / "routing.yaml"
    file.write_text(FILE)
    texts: list[str] = []
    factors = [1.0]
    read_anew = []

    def measured(live: Live, ways: Sequence[str], folder: Path, progress: object) -> list[Measured]:
        texts[:] = ways
        many = [Arrival(0.0, 1, 1, slo=Slo(e2e_s=1.2))] * 200
        base = _series(folder / "base", 1.0)
        return [held(many, base, _series(folder / str(number), factor)) for number, factor in enumerate(factors)]

    async def read(live: Live) -> None:
        read_anew.append(live.file.read_text())

    monkeypatch.setattr(tune, "check", lambda live: None)
    monkeypatch.setattr(tune, "verify", measured)
    monkeypatch.setattr(tune, "reread", read)
    asked = ["tune", str(file), "--slo", SLO, "--trace", str(log), "--engines", "low_latency", "--budget", "10m"]
    asked += ["--url", "http://127.0.0.1:1", "--write"]
    assert main([*asked, "--verify", "1"]) == 0
    told = capsys.readouterr().out
    assert "nothing is better by more than noise" in told
    assert "not written" in told
    assert file.read_text() == FILE
    assert not read_anew
    factors[:] = [1.3, 0.8]
    assert main([*asked, "--verify", "2"]) == 0
    told = capsys.readouterr().out
    assert len(texts) == 2
    assert file.read_text() == texts[1]
    assert read_anew == [texts[1]]
    assert "worse" in told
    assert "more than noise" in told


def _series(folder: Path, factor: float) -> Series:
    run = read_run(made_up_run(folder, factor=factor, failing=0.0))
    return series_of([one.row for one in run.requests], [one.detail for one in run.requests], run.file)[0]
