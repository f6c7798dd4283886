"""What is told of a request holds no prompt, no answer and no key."""

import dataclasses

from proxy.model.classes import NOTHING_PROMISED
from proxy.model.outcome import SERVED
from proxy.model.timeline import Timeline
from proxy.obs.record import Record, Streaming
from proxy.wire.meter import Meter
from proxy.wire.usage import NO_USAGE
from tests.unit.obs.records import record


def test_a_record_has_digests_lengths_and_counts_only() -> None:
    told = record()
    names = {field.name for field in dataclasses.fields(Record)}
    assert not names & {"body", "prompt", "answer", "headers", "key", "authorization", "fields"}
    texts = [value for name in names if isinstance(value := getattr(told, name), str | bytes)]
    assert max(map(len, texts)) <= 256


def test_what_is_not_said_is_as_of_a_plain_request() -> None:
    told = Record(
        id="r",
        method="GET",
        path="/v1/models",
        endpoint="models",
        traffic_class="",
        model_asked="",
        model_served="",
        backend="",
        attempts=0,
        status=200,
        stream=False,
        body_bytes=0,
        outcome=SERVED,
        timeline=Timeline(1.0),
        usage=NO_USAGE,
        token_source="",
        meter=Meter(),
        resumed=0,
    )
    assert (told.fallback, told.hedge, told.tenant, told.client) == ("", "", "", "")
    assert told.promise is NOTHING_PROMISED


def test_what_runs_says_where_it_is_counted() -> None:
    meter = Meter()
    assert Streaming("chat.completions", "bulk", "", meter) == ("chat.completions", "bulk", "", meter)
