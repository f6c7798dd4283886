"""What each stage keeps back and until when."""

from proxy.engines.registry import DIALECTS
from proxy.model.endpoint import Endpoint
from proxy.wire.accounting import Undo, Undoing
from proxy.wire.continuation import Continuation
from proxy.wire.counting import Evidence
from proxy.wire.event import Event
from proxy.wire.meter import Meter
from proxy.wire.rechunk_text import TextRechunker
from proxy.wire.stages import Chunking, HidingUsage, Resuming, Stage
from proxy.wire.tokens import Estimator

CHAT = {"model": "m", "messages": [{"role": "user", "content": "q"}], "stream": True, "temperature": 0}


def delta(text: str, finish: str = "null", more: str = "") -> Event:
    choice = f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}'
    return Event(f'data: {{"id":"c","choices":[{choice}]{more}}}\n\n'.encode())


def test_a_stage_that_does_nothing() -> None:
    events = [delta("a")]
    assert Stage().feed(events, 1.0) is events
    assert Stage().rest() == []
    assert Stage().until is None


def test_without_a_rechunker_events_are_metered_and_pass() -> None:
    meter = Meter()
    event = delta("a")
    assert Chunking(meter, None, 0.1).feed([event], 1.0) == [event]
    assert (meter.tokens, meter.first_token) == (1, 1.0)


def test_a_part_of_a_word_waits_until_it_is_whole_or_time_is_up() -> None:
    stage = Chunking(Meter(), TextRechunker(Evidence(Estimator())), 0.1)
    assert stage.feed([delta("unhap")], 1.0) == []
    assert stage.until == 1.1
    (out,) = stage.feed([delta("py ")], 1.05)
    assert b"unhappy " in out.raw
    assert stage.until is None
    assert stage.feed([delta("a"), delta("b")], 2.0) == []
    assert stage.until == 2.1
    assert [b'"ab"' in event.raw for event in stage.rest()] == [True]
    assert stage.until is None


def test_without_a_limit_it_waits_for_the_rest() -> None:
    stage = Chunking(Meter(), TextRechunker(Evidence(Estimator())), 0)
    assert stage.feed([delta("unhap")], 1.0) == []
    assert stage.until is None
    assert len(stage.rest()) == 1


def test_the_end_waits_for_the_usage_event() -> None:
    stage = HidingUsage(Undoing(Undo.ALL))
    end = delta("", '"stop"')
    assert stage.feed([end], 1.0) == []
    assert stage.until == 1.1
    usage = Event(b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n')
    assert [event.raw for event in stage.feed([usage], 1.01)] == [end.raw]
    assert stage.until is None
    assert stage.feed([end], 2.0) == []
    assert [event.raw for event in stage.rest()] == [end.raw]
    assert stage.until is None


def test_another_engine_goes_on_in_the_name_of_the_first() -> None:
    continuation = Continuation(CHAT, Endpoint.CHAT, DIALECTS["vllm"])
    stage = Resuming(continuation)
    first = delta("a", more=',"usage":{"prompt_tokens":3,"completion_tokens":1}')
    continuation.saw(first)
    assert stage.feed([first], 1.0) == [first]
    continuation.next_attempt()
    second = Event(first.raw.replace(b'"id":"c"', b'"id":"d"').replace(b'"prompt_tokens":3', b'"prompt_tokens":4'))
    continuation.saw(second)
    (out,) = stage.feed([second], 2.0)
    assert out.object["id"] == "c"
    assert out.object["usage"]["completion_tokens"] == 2
