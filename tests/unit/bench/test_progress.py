"""What is shown: percentiles that enough requests are beyond, the time left, plain lines without a terminal."""

import io
import re

import pytest

from proxy.bench.progress import Progress, Tally
from proxy.bench.run_file import Arrivals, Cell
from proxy.bench.run_folder import Measured
from proxy.bench.spec import Beat
from tests.unit.bench.requests_made import detail, row

BEAT = Beat(phase="measuring", open=1, sent=1, lag_ms=0.0)


def cell(**more: object) -> Cell:
    return Cell(id="concurrency=8", arrivals=Arrivals(process="closed", concurrency=8), **more)  # type: ignore[arg-type]


def served(ttft_ms: float = 100.0) -> Measured:
    return Measured(row(ttft_ms=ttft_ms, e2e_ms=500.0, output_tokens=10), detail())


def test_what_is_left_by_number_and_by_time() -> None:
    tally = Tally(cell(planned=100), 1, 0.0)
    assert tally.left_s(5.0) is None
    tally.take_beat(BEAT, 10.0)
    for _ in range(25):
        tally.take(served(), 20.0)
    assert tally.left_s(20.0) == pytest.approx(30.0)
    timed = Tally(cell(duration_s=40.0), 1, 0.0)
    timed.take_beat(BEAT, 10.0)
    assert timed.left_s(20.0) == pytest.approx(30.0)


def test_percentiles_only_when_enough_are_beyond() -> None:
    tally = Tally(cell(planned=1000), 1, 0.0)
    tally.take_beat(BEAT, 0.0)
    for _ in range(10):
        tally.take(served(), 1.0)
    assert re.search(r"TTFT P50 (99|100|101) ms", tally.words(1.0))
    assert "P95" not in tally.words(1.0)
    for _ in range(300):
        tally.take(served(200.0), 2.0)
    assert re.search(r"P99 (198|199|20\d) ms", tally.words(2.0))
    assert "req/s" in tally.words(2.0)


def test_what_went_wrong_is_counted_and_who_left_on_purpose_is_not() -> None:
    tally = Tally(cell(planned=10), 1, 0.0)
    tally.take(Measured(row(success=False), detail(outcome="failed")), 1.0)
    tally.take(Measured(row(success=False), detail(outcome="cancelled")), 1.0)
    assert "2 done · 1 not served" in tally.words(2.0)


def test_plain_lines_where_nobody_looks() -> None:
    stream = io.StringIO()
    with Progress(stream, 2) as progress:
        progress.say("note: x")
        progress.begins(cell(planned=1), 1)
        progress.take(BEAT)
        progress.take(served())
        progress.ends()
        progress.begins(cell(planned=1), 1, " (A/A)", counts=False)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["note: x", "[1/2] concurrency=8"]
    assert lines[2].startswith("    1 done")
    assert lines[3] == "[1/2] concurrency=8 (A/A)"


def test_a_bar_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Progress(stream, 1) as progress:
        progress.begins(cell(planned=2), 1)
        progress.take(served())
        progress.take(BEAT)
        progress.ends()
    assert "[1/1] concurrency=8: 1 done" in stream.getvalue()


def test_how_long_all_cells_take_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("proxy.bench.progress.time.monotonic", lambda: now[0])
    progress = Progress(io.StringIO(), 3)
    progress.begins(cell(planned=100), 1)
    assert progress.left_s(101.0) is None
    progress.take(BEAT)
    now[0] = 110.0
    for _ in range(50):
        progress.take(served())
    assert progress.left_s(110.0) == pytest.approx(10 + 2 * 20)
    now[0] = 120.0
    progress.ends()
    progress.begins(cell(planned=100), 1, counts=False)
    now[0] = 125.0
    progress.ends()
    progress.begins(cell(planned=100), 1)
    assert progress.left_s(130.0) == pytest.approx(15 + 20), "what is beside the cells is none of them"
    now[0] = 145.0
    progress.ends()
    progress.begins(cell(planned=100), 1)
    assert progress.left_s(146.0) is None, "the last one says itself how long it takes"
