"""Stages and outcomes over time."""

from pathlib import Path

from proxy.bench.report import flow
from proxy.bench.report.drawing import style
from proxy.bench.report.inputs import read_inputs
from proxy.bench.report.stages import breakdowns
from tests.support.bench_runs import made_up_run


def test_stages_with_the_rest_that_nobody_accounts_for(tmp_path: Path) -> None:
    series = read_inputs([made_up_run(tmp_path, n=40)]).series
    with style():
        (found,) = flow.stage_bars(breakdowns(series), series, "")
        none = list(flow.stage_bars([], series, ""))
    assert all(word in found.svg for word in (b"queue", b"prefill", b"decode", b"unattributed"))
    assert none == []


def test_outcomes_over_time(tmp_path: Path) -> None:
    series = read_inputs([made_up_run(tmp_path, loads=range(1, 11), n=60, failing=0.5)]).series
    with style():
        found = list(flow.timeline(series, ""))
    assert [one.name for one in found] == ["timeline-1", "timeline-2"]
    assert all(word in found[0].svg for word in (b"served", b"refused", b"failed", b"broken", b"success"))
