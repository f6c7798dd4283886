"""Tables: n, ranges, and no percentile of too few."""

from pathlib import Path

from proxy.bench.percentiles import Percentile
from proxy.bench.promise import promise
from proxy.bench.report.inputs import read_inputs
from proxy.bench.report.tables import latencies, throughput, told
from tests.support.bench_runs import made_up_run


def test_a_percentile_of_too_few_is_not_printed(tmp_path: Path) -> None:
    found = latencies(read_inputs([made_up_run(tmp_path, n=60, failing=0.0)]).series)
    assert [table.title.split(",")[0] for table in found] == ["TTFT", "TPOT", "E2E"]
    name, n, p50, p95, p99 = found[0].rows[0]
    assert (name, n, p99) == ("tidegate · tiny", "60", "-")
    assert " to " in p50
    assert "or more" in p95
    assert "P99 from n = 100 on" in found[0].notes[0]
    assert "success 100 %" in found[0].title


def test_how_a_range_is_told() -> None:
    assert told(None) == "-"
    assert told(Percentile(412.3, 398.0, 430.0)) == "412.3 (398.0 to 430.0)"
    assert told(Percentile(9.5, 9.0, None)) == "9.50 (9.00 or more)"
    assert told(Percentile(1234.5, None, None)) == "1,234"


def test_what_came_of_them(tmp_path: Path) -> None:
    series = read_inputs([made_up_run(tmp_path, n=200, failing=0.3)]).series
    table = throughput(series, promise("ttft=60ms"))
    row = dict(zip(table.header, table.rows[0], strict=True))
    assert int(row["broken"]) + int(row["failed"]) + int(row["refused"]) == 200 - series[0].served
    assert float(row["good"].removesuffix(" %")) < float(row["success"].removesuffix(" %"))
    assert table.notes == ("Good: successful, and TTFT ≤ 60 ms.",)
    assert "no SLO" in throughput(series, promise("")).notes[0]


def test_markdown_keeps_its_cells(tmp_path: Path) -> None:
    text = throughput(read_inputs([made_up_run(tmp_path, n=5, server="a|b")]).series, promise("")).markdown()
    assert r"a\|b" in text
    widths = {line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1
