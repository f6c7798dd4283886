"""The table at the end: who, how many, how late; and differences with their intervals."""

from pathlib import Path

from proxy.bench.run_file import Arrivals, Cell, Comparison, Interval, RunFile, Target
from proxy.bench.run_folder import Measured, Run
from proxy.bench.summary import summary
from tests.unit.bench.requests_made import AT, detail, row


def run(count: int) -> Run:
    difference = {"ttft_ms": Interval(value=1.5, low=1.0, high=2.0, n=count)}
    file = RunFile(
        argv=[],
        seed=1,
        workload="short-chat",
        targets={"url": Target(url="u", server="tidegate"), "direct": Target(url="d", server="vllm")},
        cells=[Cell(id="c", arrivals=Arrivals(process="closed"))],
        comparisons=[Comparison(cell="c", statistic="mean", differences=difference)],
    )
    requests = [
        Measured(
            row(ttft_ms=float(n), e2e_ms=1000.0, output_tokens=10), detail(cell="c", side=side, intended_at=AT + n)
        )
        for n in range(count)
        for side in ("url", "direct")
    ]
    requests[0] = Measured(row(success=False), detail(cell="c", outcome="cancelled", intended_at=AT))
    return Run(Path("out"), file, requests)


def test_a_line_for_each_target_and_the_difference() -> None:
    lines = summary(run(100), 10_000).splitlines()
    assert lines[0] == "out (short-chat, caches as found; latencies in ms)"
    ours = lines[2].split()
    assert ours[:6] == ["c", "tidegate", "100", "100.0%", "0.99", "10"]
    assert ours[6:9] == ["50.0", "95.0", "-"]
    assert lines[4] == "tidegate less vllm, c, mean: TTFT +1.50 ms [+1.00, +2.00] (n=100, 95 %)"


def test_too_few_have_no_percentile() -> None:
    assert summary(run(4), 10_000).splitlines()[2].split()[6:9] == ["-", "-", "-"]
    assert summary(run(19), 10_000).splitlines()[2].split()[6:9] == ["9.0", "-", "-"]


def test_nothing_measured() -> None:
    empty = run(1)
    assert "no request was measured" in summary(Run(empty.folder, empty.file, []), 100)
