"""What is remembered of a short answer, and the request that goes on with it."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.core.tenancy.classify import Classified, RequestTraits, TrafficClass
from proxy.live.job_builder import BuiltJob
from proxy.live.prompts import First
from proxy.live.short_first import ShortFirst, Tap
from proxy.model.classes import NOTHING_PROMISED, ClassSettings
from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError, Kind, downstream
from proxy.model.outcome import SERVED, Outcome, Phase, failed_with
from proxy.model.prompts import FirstAnswer
from proxy.model.request import Job, Request
from proxy.wire.headers import Head
from proxy.wire.identity import digits
from tests.unit.live.standins import Taker

KEY = {b"authorization": b"Bearer k"}
BODY = b'{"messages":[{"role":"user","content":"x"}],"max_tokens":12}'
DONE = b'data: {"choices":[{"delta":{"content":"It is."}}]}\n\ndata: [DONE]\n\n'


class Whole:
    """As much of an answer as is looked at."""

    body = b'{"choices":[{"message":{"content":"It is."}}]}'


def taken() -> BuiltJob:
    request = Request("r", "POST", "/v1/chat/completions", Endpoint.CHAT, "m", json=True, prompt_version="p@1")
    classified = Classified(TrafficClass(ClassSettings(name="chat")), "default")
    asked = RequestTraits("chat.completions", "m", digits(b"k"), False, "", "", None, 1, False)
    job = Job(1, "m", tenant=digits(b"k"))
    return BuiltJob(
        job,
        classified,
        asked,
        NOTHING_PROMISED,
        request=request,
        body=BODY,
        first=First(FirstAnswer(12, "cut", 60.0), 40),
    )


def head(headers: dict[bytes, bytes], coding: bytes = b"") -> Head:
    sent = [(b"Content-Type", b"text/plain"), (b"x-case", b"1")]
    return Head(
        method="POST",
        target=b"/",
        host=b"h",
        request_id="r2",
        forward=sent,
        content_type=b"text/plain",
        content_encoding=coding,
        expects_continue=False,
        origin=b"",
        client_attempt=0,
        client_timeout_s=None,
        traffic_class="",
        fields=headers,
    )


class Bed:
    def __init__(self) -> None:
        self.now = 0.0
        self.first = ShortFirst(lambda: self.now, is_on=True)

    def keep(self, outcome: Outcome = SERVED, tap: Tap | None = None) -> None:
        answer: Any = Whole()
        self.first.keep(outcome, replace(head(KEY), request_id="r"), taken(), answer, tap)

    def goes_on(self, item: str = "r", body: bytes = b"", **more: Any) -> Any:
        return self.first.goes_on(head(more.pop("headers", KEY), **more), item, body)


def test_the_request_for_the_rest_is_of_json_whatever_came() -> None:
    bed = Bed()
    bed.keep()
    short, written, body = bed.goes_on()
    assert short.prompt_version == "p@1"
    assert written.content_type == b"application/json"
    assert written.forward == [(b"x-case", b"1"), (b"content-type", b"application/json")]
    fields = orjson.loads(body)
    assert fields["max_tokens"] == 40
    assert fields["messages"][1] == {"role": "assistant", "content": "It is."}
    assert bed.goes_on("", headers={**KEY, b"x-tidegate-expand": b" r "})[0] == short
    assert bed.goes_on("", b"as it came")[0] is None
    assert (bed.first.given, bed.first.expanded, bed.first.unknown) == (1, 2, 0)


def test_a_stream_is_remembered_on_its_way() -> None:
    client, bed = Taker(), Bed()
    tap = Tap(client)
    tap.send(DONE[:20])
    tap.send_chunk(DONE[20:], b"framed")
    assert client.got == [DONE[:20], b"framed"]
    bed.keep(tap=tap)
    assert bed.goes_on()[0].text == "It is."
    long = Tap(client)
    long.send(DONE[:-14] + b": " + b"x" * 300_000 + b"\n" + DONE[-14:])
    assert long.text() == ""


@pytest.mark.parametrize("change", ["failed", "late", "other tenant", "other id", "packed", "list", "text"])
def test_what_there_is_not_or_cannot_be(change: str) -> None:
    bed = Bed()
    left = failed_with(downstream(Kind.LEFT, "The client left."), Phase.STREAM)
    bed.keep(left if change == "failed" else SERVED)
    bed.now = 61.0 if change == "late" else 1.0
    more: dict[str, Any] = {"headers": {} if change == "other tenant" else KEY}
    if change == "packed":
        more["coding"] = b"gzip"
    body = {"list": b"[1]", "text": b"x"}.get(change, b"")
    with pytest.raises(FaultError):
        bed.goes_on("s" if change == "other id" else "r", body, **more)
