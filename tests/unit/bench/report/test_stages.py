"""Where time went: it adds up, and what nobody tells is told."""

from pathlib import Path
from statistics import fmean

import pytest

from proxy.bench import rows
from proxy.bench.report.inputs import read_inputs
from proxy.bench.report.stages import UNATTRIBUTED, breakdown
from tests.support.bench_runs import made_up_run


def test_stages_and_the_rest_are_the_whole(tmp_path: Path) -> None:
    (series,) = read_inputs([made_up_run(tmp_path, n=50)]).series
    found = breakdown(series)
    assert found is not None
    assert list(found.means_ms) == ["queue", "prefill", "decode", UNATTRIBUTED]
    assert sum(found.means_ms.values()) == pytest.approx(fmean(series.values("e2e")), rel=1e-3)
    assert found.means_ms[UNATTRIBUTED] == pytest.approx(20, abs=0.5)
    assert found.n == series.served


def test_nobody_told(tmp_path: Path) -> None:
    (series,) = read_inputs([made_up_run(tmp_path, n=5) / rows.FILE]).series
    assert breakdown(series) is None
