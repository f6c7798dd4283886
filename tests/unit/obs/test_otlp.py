"""OTLP as the official messages decode it, and a receiver that is down, refuses or is not installed."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxy.obs.genai_metrics import GenAiMetrics
from proxy.obs.otlp import Otlp
from proxy.obs.spans import Spans
from tests.support.odd_host import free_port
from tests.support.otlp_receiver import OtlpReceiver, attributes, otlp_receiver
from tests.unit.obs.traces import ENGINES, PARENT, TRACE, traced

NOW = 1_700_000_000 * 10**9
Make = Callable[..., Otlp]


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as made:
        yield made


@pytest.fixture
def make(receiver: OtlpReceiver) -> Iterator[Make]:
    made: list[Otlp] = []

    def of(url: str = "", timeout_s: float = 2.0) -> Otlp:
        one = Otlp(url or receiver.url, {"x-key": "s3cret"}, "edge", "9.9", "one", timeout_s, NOW)
        made.append(one)
        return one

    yield of
    for one in made:
        one.close()


def spans() -> list[Any]:
    return Spans(ENGINES, "goodput").of(traced(), 0.0)


def counted() -> Any:
    metrics = GenAiMetrics(ENGINES, "both")
    metrics.count(traced())
    return metrics.all()


def test_spans(make: Make, receiver: OtlpReceiver) -> None:
    plain = spans()
    assert make(receiver.url + "/").send_spans(plain) == ""
    assert [span.name for span in receiver.spans] == [span.name for span in plain]
    own, *rest = receiver.spans
    assert (own.trace_id.hex(), own.parent_span_id.hex()) == (TRACE, PARENT)
    assert [span.kind for span in receiver.spans] == [2, 1, 3, 3, 1]
    assert [span.status.code for span in receiver.spans] == [0, 0, 2, 0, 0]
    assert {span.parent_span_id.hex() for span in rest} == {plain[0].span_id}
    assert (own.start_time_unix_nano, own.end_time_unix_nano) == (plain[0].start_ns, plain[0].end_ns)
    assert attributes(rest[2].attributes) == dict(plain[3].attributes)
    assert {"service.name": "edge", "service.version": "9.9", "service.instance.id": "one"}.items() <= (
        receiver.resources[0].items()
    )
    assert receiver.headers[0]["x-key"] == "s3cret"


def test_metrics(make: Make, receiver: OtlpReceiver) -> None:
    assert make().send_metrics(counted(), NOW + 5) == ""
    found = receiver.metrics()
    duration = found["gen_ai.client.inference.duration"]
    assert (duration.unit, duration.histogram.aggregation_temporality) == ("s", 2)
    for point in duration.histogram.data_points:
        assert (point.start_time_unix_nano, point.time_unix_nano, point.count) == (NOW, NOW + 5, 1)
        assert sum(point.bucket_counts) == 1
        assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
        assert point.min == point.max == point.sum
    tokens = found["gen_ai.client.inference.usage.output_tokens"]
    assert (tokens.unit, tokens.sum.is_monotonic, tokens.sum.data_points[0].as_int) == ("{token}", True, 8)


def test_text_that_cannot_be_encoded_costs_no_batch(make: Make, receiver: OtlpReceiver) -> None:
    odd = [span._replace(attributes={**span.attributes, "odd": "a\ud800", "fine": "naïve"}) for span in spans()]
    assert make().send_spans(odd) == ""
    assert attributes(receiver.spans[0].attributes)["odd"] == "a\\ud800"
    assert attributes(receiver.spans[0].attributes)["fine"] == "naïve"


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
def test_a_refusal_is_told_and_logged_by_nobody_else(make: Make, receiver: OtlpReceiver, status: int) -> None:
    receiver.status = status
    logged: list[logging.LogRecord] = []
    watcher = logging.Handler()
    watcher.emit = logged.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(watcher)
    try:
        why = make().send_spans(spans())
    finally:
        logging.getLogger().removeHandler(watcher)
    assert str(status) in why
    assert "s3cret" not in why
    assert [record for record in logged if record.name.startswith("opentelemetry")] == []


@pytest.mark.parametrize("ill", ["down", "slow", "busy"])
def test_it_takes_no_longer_than_its_time_out(make: Make, receiver: OtlpReceiver, ill: str) -> None:
    url = receiver.url
    if ill == "down":
        url = f"http://127.0.0.1:{free_port()}"
    elif ill == "slow":
        receiver.delay_s = 1.0
    else:
        receiver.status = 503
    began = time.monotonic()
    assert make(url, timeout_s=0.3).send_metrics(counted(), NOW) != ""
    assert time.monotonic() - began < 1.0


WITHOUT = """
import sys
sys.modules["opentelemetry.sdk"] = None
import proxy.app.proxy
assert not [name for name in sys.modules if name.startswith("opentelemetry.")  and name != "opentelemetry.sdk"]
from proxy.obs.otlp import Otlp
try:
    Otlp("http://127.0.0.1:1", {}, "a", "b", "c", 1.0, 0)
except RuntimeError as error:
    print(error)
"""


def test_nothing_of_it_is_imported_until_it_is_wanted_and_then_it_says_what_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60)
    assert done.stdout == "telemetry needs the packages of OpenTelemetry: pip install 'tidegate[otel]'\n", done.stderr
