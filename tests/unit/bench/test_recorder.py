"""What becomes of what is told: rows with whose hardware it was, and a cell that says how it ended."""

from pathlib import Path

from proxy.bench.recorder import Gauges, Labels, Recorder, conclude
from proxy.bench.run_file import Arrivals, Batching, Cell, Client, Warmup
from proxy.bench.run_folder import Measured, read_run
from proxy.bench.spec import Finished, Sample
from tests.unit.bench.requests_made import detail, row
from tests.unit.bench.test_run_file import run_file

BARE = row(hardware="", precision="", server="", batch_window_ms=None, gpu_alloc_gb=None, gpu_reserved_gb=None)
LABELS = Labels({"url": "tidegate", "direct": "vllm"}, other_hardware="2x CPU", batch_window_ms=5.0)
GAUGES = Gauges({"alpha": {"hardware": "1x H200", "precision": "fp8"}}, {"alpha": (20.5, 24.0)})


def test_rows_say_whose_they_are(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, run_file(), GAUGES)
    recorder.take(Sample(row=BARE, detail=detail(backend="alpha")), LABELS)
    recorder.take(Sample(row=BARE, detail=detail(side="direct")), LABELS)
    recorder.close()
    ours, theirs = (one.row for one in read_run(tmp_path).requests)
    assert (ours.hardware, ours.precision, ours.server, ours.batch_window_ms) == ("1x H200", "fp8", "tidegate", 5.0)
    assert (ours.gpu_alloc_gb, ours.gpu_reserved_gb) == (20.5, 24.0)
    assert (theirs.hardware, theirs.precision, theirs.server, theirs.batch_window_ms) == ("2x CPU", "", "vllm", None)
    assert theirs.gpu_alloc_gb is None


def test_what_the_operator_says_goes_before(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, run_file(), GAUGES)
    labels = Labels({"url": "x"}, hardware="8x H200", precision="int4")
    taken = recorder.take(Sample(row=BARE, detail=detail(backend="alpha")), labels)
    recorder.close()
    assert (taken.row.hardware, taken.row.precision) == ("8x H200", "int4")


def test_a_cell_says_how_it_ended() -> None:
    cell = Cell(id="c", arrivals=Arrivals(process="closed"), batching=Batching(configured={"a": "b"}), notes=["x"])
    requests = [
        Measured(row(), detail(index=n, digest=f"{n:016}", batch_size=4, waited_ms=float(n), tokens_source="usage"))
        for n in range(10)
    ]
    requests.append(Measured(row(), detail(index=10, outcome="refused")))
    requests.append(Measured(row(), detail(index=11, answer_cache="hit", tokens_source="events")))
    client = Client(cpu=0.5)
    conclude(cell, requests, Finished(client=client, warmup=Warmup(requests=2), whole=True, notes=["y"]), "later")
    assert (cell.done, cell.outcomes, cell.tokens_sources) == (
        12, {"served": 11, "refused": 1}, {"usage": 10, "events": 1},
    )  # fmt: skip
    assert (cell.batching.sizes, cell.batching.waited_p50_ms, cell.batching.waited_p99_ms) == ({"4": 10}, 4.0, 9.0)
    assert (cell.batching.configured, cell.client, cell.complete, cell.ended) == ({"a": "b"}, client, True, "later")
    assert cell.notes[:2] == ["x", "y"]
    assert "1 of 12 answers came from the proxy's cache" in cell.notes
    assert "1 of 12 answers had no usage: an event was taken for a token" in cell.notes


def test_the_digest_of_a_plan_does_not_hang_on_the_order_in_which_answers_come() -> None:
    requests = [Measured(row(), detail(index=n, digest=f"{n:016}")) for n in range(10)]
    digests = []
    for order in (requests, requests[::-1], requests[:9]):
        cell = Cell(id="c", arrivals=Arrivals(process="closed"))
        conclude(cell, order, None, "")
        digests.append(cell.plan_digest)
    assert digests[0] == digests[1] != digests[2]
    assert not cell.complete
