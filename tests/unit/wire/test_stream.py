"""One stream as the client gets it: ends that wait for usage, large events, errors in its API's shape, all choices."""

import json
from typing import Any

import pytest

from proxy.model.classes import StreamSettings
from proxy.model.endpoint import ENGINES_OWN, Api
from proxy.wire.accounting import Undo
from proxy.wire.allowance import AllowanceHeaders
from proxy.wire.counting import Evidence
from proxy.wire.event import Event
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.stream import Stream
from proxy.wire.tokens import Estimator

MIB = 1 << 20
DONE = b"data: [DONE]\n\n"


class Client:
    """Feeds a stream, and has what came out."""

    def __init__(self, granularity: Any = "engine", pace: Any = "off", flush: float = 0.1, **plan: Any) -> None:
        evidence = None if granularity == "engine" else Evidence(Estimator())
        settings = StreamSettings(granularity=granularity, pace=pace, flush=flush)
        self.stream = Stream(StreamPlan(settings, 16 * MIB, evidence=evidence, **plan), Meter())
        self.got = b""

    def give(self, *reads: bytes, now: float = 1.0) -> bytes:
        """All that came out so far."""
        for read in reads:
            self.got += self.stream.feed(read, now)
        return self.got

    def wait(self, now: float) -> bytes:
        self.got += self.stream.due(now)
        return self.got


def chunk(finish: str | None = None, index: int = 0, text: str = "a", **more: Any) -> bytes:
    delta = {"content": text} if text else {}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}, separators=(",", ":")).encode() + b"\n\n"


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2},"system_fingerprint":"fp"}\n\n'
STOP = chunk("stop", text="")
STOP_WITH = chunk("stop", text="", system_fingerprint="fp")


@pytest.mark.parametrize("granularity", ["engine", "token", "text"])
@pytest.mark.parametrize("together", [True, False])
def test_the_end_waits_for_what_was_moved(granularity: Any, together: bool) -> None:
    client = Client(granularity, undo=Undo.ALL)
    ends = [STOP + USAGE + DONE] if together else [STOP, USAGE, DONE]
    got = client.give(chunk(), chunk(), *ends)
    assert got.endswith(STOP_WITH + DONE)
    assert got.count(b"stop") == 1


def test_an_end_that_nothing_follows_leaves_soon_and_what_follows_then_keeps_its_order() -> None:
    client = Client(undo=Undo.ALL)
    assert client.give(chunk(), STOP) == chunk()
    at = client.stream.next_at()
    assert at == pytest.approx(1.1)
    assert client.wait(1.05) == chunk()
    assert client.wait(1.11) == chunk() + STOP
    assert client.stream.next_at() is None
    more = [chunk(index=1), chunk("stop", 1, ""), DONE]
    assert client.give(*more) == b"".join([chunk(), STOP, *more])


def test_nothing_overtakes_an_end_that_waits() -> None:
    client = Client(undo=Undo.ALL)
    others = [chunk(index=1, text=f"t{number}") for number in range(3)]
    events = [chunk(), chunk(index=1), STOP, *others, chunk("stop", 1, ""), USAGE, DONE]
    assert client.give(*events) == b"".join(events[:-3]) + chunk("stop", 1, "", system_fingerprint="fp") + DONE


def test_an_end_that_waits_is_not_lost_when_the_engine_ends_or_fails() -> None:
    own = chunk("stop", text="", usage={"completion_tokens": 1})
    client = Client(undo=Undo.ALL)
    client.give(own)
    client.got += client.stream.close(1.0)
    assert client.got == own
    error = b'data: {"error":{"message":"m"}}\n\n'
    client = Client(undo=Undo.ALL)
    assert client.give(STOP, error) == STOP + error


@pytest.mark.parametrize("granularity", ["engine", "token", "text"])
@pytest.mark.parametrize("late", [0, 1, 127])
def test_every_choice_has_to_end(granularity: Any, late: int) -> None:
    client = Client(granularity)
    client.give(*(chunk(index=index, text=text) for text in ("a b", " c") for index in range(128)))
    client.give(*(chunk("stop", index, "") for index in range(128) if index != late))
    assert not client.stream.has_ended
    client.give(chunk(index=late), chunk("length", late, ""))
    assert client.stream.has_ended
    client.give(chunk(index=late))
    assert not client.stream.has_ended


@pytest.mark.parametrize("granularity", ["engine", "token", "text"])
def test_a_large_event_passes_whole_and_leaves_nothing_behind(granularity: Any) -> None:
    allowance = AllowanceHeaders(64 * MIB)
    client = Client(granularity, allowance=allowance)
    image = b'{"type":"image_generation.completed","b64_json":"%b","usage":{"output_tokens":3}}' % (b"A" * 15 * MIB)
    event = b"event: image_generation.completed\ndata: " + image + b"\n\n"
    got = client.give(*(event[at : at + 65536] for at in range(0, len(event), 65536)))
    assert got == event
    assert client.stream.has_ended
    assert sum(map(len, client.stream.tail)) < 1000
    assert allowance.left_b < 64 * MIB
    client.stream.give_back()
    assert allowance.left_b == 64 * MIB
    assert len(client.stream._splitter._buffer) == 0


@pytest.mark.parametrize("api", Api)
def test_an_engines_error_in_the_shape_that_was_asked(api: Api) -> None:
    client = Client(api=api)
    last = b'data: {"type":"x","sequence_number":6}\n\n'
    got = client.give(last, b'data: {"error":{"message":"broke","type":"t","param":null,"code":500}}\n\n')
    error = got.removeprefix(last)
    fields = json.loads(Event(error).data)
    assert (fields.get("type") == "error") is (api is not Api.OPENAI and api not in ENGINES_OWN)
    if api is Api.OLLAMA:
        assert fields == {"error": "broke"}
        return
    assert (fields["message"] if api is Api.RESPONSES else fields["error"]["message"]) == "broke"
    assert fields.get("sequence_number") == (7 if api is Api.RESPONSES else None)
    assert client.stream.saw_error


def test_a_plain_chunk_leaves_as_the_very_object_that_came() -> None:
    client = Client()
    for text in "abc":
        read = chunk(text=text)
        assert client.stream.feed(read, 1.0) is read
    assert client.stream.next_at() is None


def test_a_part_of_a_word_waits_for_the_rest_and_no_longer() -> None:
    client = Client("text")
    assert client.give(chunk(text="unhap"), now=1.0) == b""
    at = client.stream.next_at()
    assert at is not None
    assert client.give(chunk(text="pi"), now=1.01) == b""
    assert client.stream.next_at() == at, "the oldest says when"
    assert b"unhappi" in client.wait(at)
    assert client.stream.next_at() is None


def test_paced_events_leave_one_by_one_in_order() -> None:
    client = Client(pace="smooth")
    for number in range(4):
        client.give(chunk(text=f"a{number}"), now=1.0 + number * 0.02)
    burst = [chunk(text=f"b{number}") for number in range(3)]
    before = client.give(b"".join(burst), now=1.08)
    assert not before.endswith(burst[-1])
    while (at := client.stream.next_at()) is not None:
        client.wait(at)
    assert client.got.endswith(b"".join(burst))


def test_what_is_kept_back_leaves_before_the_last_word() -> None:
    for last in (DONE, b'data: {"error":{"message":"m"}}\n\n'):
        client = Client("text", pace="smooth")
        assert client.give(chunk(text="a b"), chunk(text="unhap"), last).endswith(last)
        assert b"unhap" in client.got
        assert client.stream.next_at() is None
        assert client.give(chunk(text="late")).endswith(last)


def test_a_text_that_is_continued_by_events_of_another_api() -> None:
    client = Client("text")
    other = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"pi"}}\n\n'
    events = [chunk(text="unhap"), other, chunk(text="ness")]
    client.give(*events)
    client.got += client.stream.close(1.0)
    assert client.got == b"".join(events)
