"""What is said of two runs of recorded traffic: which requests were good, what changed, and is it more than noise."""

from pathlib import Path

import pytest

from proxy.app.forecast.verify import Live, Measured, Promises, VerifyError, check, held
from proxy.bench.reconfigure import BACKUP
from proxy.bench.run_folder import read_run
from proxy.bench.series import Series, series_of
from proxy.workload.arrival import Arrival, Slo
from tests.support.bench_runs import made_up_run

N = 200
E2E = Slo(e2e_s=1.2)


def series(folder: Path, factor: float = 1.0, n: int = N) -> Series:
    run = read_run(made_up_run(folder, n=n, factor=factor, failing=0.0))
    rows, details = [one.row for one in run.requests], [one.detail for one in run.requests]
    return series_of(rows, details, run.file)[0]


def arrivals(slo: Slo = E2E, n: int = N) -> list[Arrival]:
    return [Arrival(float(number), 100, 50, slo=slo) for number in range(n)]


@pytest.mark.parametrize(("factor", "verdict"), [(0.8, "more than noise"), (1.001, "noise"), (1.3, "worse")])
def test_a_way_is_held_against_the_file_as_it_is(factor: float, verdict: str, tmp_path: Path) -> None:
    base, new = series(tmp_path / "base"), series(tmp_path / "new", factor)
    found = held(arrivals(), base, new)
    assert found.goodput is not None
    assert found.goodput.paired
    assert found.goodput.n == (N, N)
    good = [sum(row.e2e_ms <= 1200 for row in one.rows if row.e2e_ms is not None) for one in (base, new)]
    assert found.goodput.absolute is not None
    assert found.goodput.absolute[0] == pytest.approx(100 * (good[1] - good[0]) / N)
    assert found.is_better is (verdict == "more than noise")
    there, within, p50, _, n, said = found.cells()
    assert there == f"{found.goodput.absolute[0]:+.2f} points"
    assert within == f"{found.goodput.absolute[1]:+.2f} to {found.goodput.absolute[2]:+.2f}"
    assert p50.startswith(f"{100 * (factor - 1):+.1f} %")
    assert (n, said) == (str(N), verdict)


def test_each_request_is_judged_by_its_own_promise(tmp_path: Path) -> None:
    base = series(tmp_path / "base")
    asked = arrivals(Slo())
    asked[3] = Arrival(3.0, 100, 50, slo=Slo(ttft_s=0.001))
    asked[5] = Arrival(5.0, 100, 50, slo=Slo(tpot_s=0.001))
    judge = Promises(asked, base)
    broken = [
        detail.index for row, detail in zip(base.rows, base.details, strict=True) if detail and not judge.is_kept(row)
    ]
    assert broken == [3, 5]


def test_too_few_and_none() -> None:
    assert Measured(None, (), "the proxy is gone").cells()[0] == "not measured"
    assert not Measured(None).is_better
    assert held([], None, "refused") == Measured(None, (), "refused")  # type: ignore[arg-type]


def test_too_few_requests_say_nothing(tmp_path: Path) -> None:
    found = held(arrivals(n=3), series(tmp_path / "base", n=3), series(tmp_path / "new", 0.1, n=3))
    assert not found.is_better
    assert found.cells() == ("too few requests", "-", "-", "-", "3", "-")


def test_what_was_left_by_a_kill_and_where_nobody_is(tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text("version: 1\n")
    backup = file.with_name(file.name + BACKUP)
    backup.write_text("version: 1\n")
    with pytest.raises(VerifyError, match="a run that was killed left"):
        check(Live("http://127.0.0.1:1", file, tmp_path / "log", arrivals()))
    backup.unlink()
    with pytest.raises(VerifyError, match="nothing can be measured at"):
        check(Live("http://127.0.0.1:1", file, tmp_path / "log", arrivals()))
