"""`tidegate tune`, as a person runs it."""

from pathlib import Path

import pytest

from proxy.cli.main import main
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
