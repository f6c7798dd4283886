"""The queue to a collector: nobody waits for it, what is lost is counted and said once, the end is bounded."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from proxy.obs import telemetry as module
from proxy.obs.genai_metrics import GenAiMetrics
from proxy.obs.spans import Span, Spans
from proxy.obs.telemetry import Counted, Telemetry, telemetry_families
from tests.support.patience import eventually
from tests.unit.obs.traces import ENGINES, traced


class Receiver:
    """Takes what it is told to take."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: list[Counted] = []
        self.why_not = ""
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.is_closed = False

    def send_spans(self, spans: list[Span]) -> str:
        self.goes_on.wait(10.0)
        if not self.why_not:
            self.spans += spans
        return self.why_not

    def send_metrics(self, metrics: Counted, now_ns: int) -> str:
        self.metrics.append(metrics)
        return self.why_not

    def close(self) -> None:
        self.is_closed = True
        self.goes_on.set()


Make = Callable[[Receiver], Telemetry]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    made: list[Telemetry] = []

    def of(receiver: Receiver) -> Telemetry:
        metrics = GenAiMetrics(ENGINES, "current")
        one = Telemetry(receiver, Spans(ENGINES, "goodput"), metrics, time.time, time.monotonic, 60.0)
        made.append(one)
        return one

    yield of
    for one in made:
        one.close()


def test_all_is_sent_before_the_end_of_it(make: Make) -> None:
    receiver = Receiver()
    telemetry = make(receiver)
    for _ in range(600):
        telemetry.add(traced())
    telemetry.close(5.0)
    assert len(receiver.spans) == 600 * 5
    assert len(receiver.metrics) == 1, "the last totals"
    assert (telemetry.lost, receiver.is_closed) == (0, True)


def test_what_is_not_sampled_is_counted_and_not_sent(make: Make) -> None:
    receiver = Receiver()
    telemetry = make(receiver)
    telemetry.add(traced("00"))
    telemetry.close(5.0)
    assert receiver.spans == []
    assert len(receiver.metrics) == 1


def test_a_collector_that_stands_still_keeps_nobody(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 50)
    receiver = Receiver()
    receiver.goes_on.clear()
    telemetry = make(receiver)
    began = time.monotonic()
    for _ in range(500):
        telemetry.add(traced())
    assert time.monotonic() - began < 2.0
    assert telemetry.lost >= 500 - 50 - module.BATCH
    receiver.goes_on.set()
    telemetry.close(5.0)
    assert len(receiver.spans) == 5 * (500 - telemetry.lost)


def test_the_end_is_bounded_and_says_what_is_lost(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.goes_on.clear()
    telemetry = make(receiver)
    telemetry.add(traced())
    eventually(lambda: not telemetry._waiting, "the first is being sent")
    telemetry.add(traced())
    began = time.monotonic()
    telemetry.close(0.1)
    assert time.monotonic() - began < 1.0
    assert "spans of 1 requests are lost" in caplog.text
    assert receiver.is_closed


def test_a_refusal_is_said_once_counted_and_recovered_from(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.why_not = "code: 503"
    telemetry = make(receiver)
    for number in range(1, 4):
        telemetry.add(traced())
        eventually(lambda number=number: telemetry.lost == number, "one more that is lost")  # type: ignore[misc]
    receiver.why_not = ""
    telemetry.add(traced())
    eventually(lambda: len(receiver.spans) == 5, "the next one")
    telemetry.close(5.0)
    said = [line for line in caplog.messages if "collector" in line]
    assert said == [
        "the collector does not take telemetry: code: 503; spans are dropped and counted",
        "the collector takes telemetry again",
    ]
    shown = {
        (sample.name, *sample.labels.values()): sample.value
        for family in telemetry_families(telemetry.exports())
        for sample in family.samples
    }
    assert shown["tidegate_traces_dropped_total",] == 3
    assert shown["tidegate_telemetry_exports_total", "spans", "failed"] == 3
    assert shown["tidegate_telemetry_exports_total", "metrics", "ok"] == 1
