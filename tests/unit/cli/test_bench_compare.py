"""`tidegate bench compare`: what it prints, and what it makes of a release."""

from pathlib import Path

import pytest

from proxy.cli.main import main
from tests.support.bench_runs import made_up_run


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    made_up_run(tmp_path / "base", loads=(4, 8), n=150)
    made_up_run(tmp_path / "new", loads=(4, 8), n=150, factor=1.08)
    return [str(tmp_path / name) for name in ("base", "new")]


def test_slower_beyond_the_limit_fails(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "compare", *runs, "--fail-if", "p50_ttft>+5%", "--fail-if", "success<-1%"]) == 1
    out = capsys.readouterr().out
    assert "4 at once: request by request" in out
    assert out.count("fail: p50_ttft>+5%") == 2
    assert out.count("pass: success<-1%") == 2


def test_within_the_limit_it_passes(runs: list[str]) -> None:
    assert main(["bench", "compare", *runs, "--fail-if", "p50_ttft>+10%"]) == 0
    assert main(["bench", "compare", *runs]) == 0
    assert main(["bench", "compare", *reversed(runs), "--fail-if", "p50_ttft>+5%"]) == 0


def test_what_cannot_be_told_does_not_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = [str(made_up_run(tmp_path / name, n=20)) for name in ("a", "b")]
    assert main(["bench", "compare", *few, "--fail-if", "p99_ttft>+5%"]) == 1
    assert "cannot tell: p99_ttft>+5%" in capsys.readouterr().out


def test_other_machines_and_other_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = str(made_up_run(tmp_path / "a", n=20))
    other = str(made_up_run(tmp_path / "b", n=20, hardware="H200"))
    assert main(["bench", "compare", base, other]) == 1
    assert "different machines (2 cores and H200)" in capsys.readouterr().err
    assert main(["bench", "compare", base, other, "--mixed"]) == 0
    assert main(["bench", "compare", base, str(made_up_run(tmp_path / "c", loads=(64,), n=20))]) == 1
    assert "nothing was measured under the same load" in capsys.readouterr().err
    assert main(["bench", "compare", base, str(tmp_path / "absent")]) == 1


def test_usage(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "compare", *runs, "--fail-if", "p98_ttft>5%"]) == 2
    assert "'p98_ttft' is not compared" in capsys.readouterr().err
    assert main(["bench", "compare", *runs, "--slo", "ttft=5"]) == 2
    assert main(["bench", "comparison"]) == 2
    assert main(["bench"]) == 2
