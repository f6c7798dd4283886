"""Which chunks go straight on, and what is counted of them."""

from proxy.wire.choices import Choices
from proxy.wire.counting import Evidence
from proxy.wire.meter import Meter
from proxy.wire.rechunk import TokenRechunker
from proxy.wire.straight import StraightWay
from proxy.wire.tokens import Estimator


def event(text: str, finish: str = "null", more: str = "") -> bytes:
    choice = f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}'
    return f'data: {{"id":"c","choices":[{choice}]{more}}}\n\n'.encode()


def test_plain_events_are_counted_and_pass_as_they_are() -> None:
    meter, choices = Meter(), Choices()
    way = StraightWay(choices, meter, None, undoes=False)
    for at, text in enumerate(["a", "b", " c", "\\n", "d"]):
        read = event(text)
        assert way.pass_on(read, 1.0 + at) is read
    assert (meter.tokens, meter.events, meter.first_token, meter.last_token) == (5, 5, 1.0, 5.0)
    assert not choices.have_ended
    assert way.pass_on(event("", '"stop"'), 6.0) is not None
    assert choices.have_ended


def test_what_needs_something_does_not() -> None:
    way = StraightWay(Choices(), Meter(), None, undoes=False)
    for read in (event("a") * 2, event("a")[:-1], b": ping\n\n", b'data: {"error":{}}\n\n', b"data: [DONE]\n\n"):
        assert way.pass_on(read, 1.0) is None


def test_where_usage_is_hidden_ends_and_usage_need_something() -> None:
    way = StraightWay(Choices(), Meter(), None, undoes=True)
    assert way.pass_on(event("a"), 1.0) is not None
    assert way.pass_on(event("", '"stop"'), 1.0) is None
    assert way.pass_on(event("a", more=',"usage":null'), 1.0) is None


def test_a_text_that_looks_like_more_than_text_is_looked_at() -> None:
    way = StraightWay(Choices(), Meter(), None, undoes=False)
    for text in "abcd":
        way.pass_on(event(text), 1.0)
    assert way.pass_on(event('x"},"error":{"message":"m'), 1.0) is None


def test_events_of_several_tokens_are_cut() -> None:
    meter = Meter()
    way = StraightWay(Choices(), meter, TokenRechunker(Evidence(Estimator())), undoes=False)
    out = way.pass_on(event(" must cannot header"), 1.0)
    assert out is not None
    assert out.count(b"data: ") == meter.tokens > 1


def test_where_the_engine_says_one_token_each_event_is_one() -> None:
    meter = Meter()
    way = StraightWay(Choices(), meter, TokenRechunker(Evidence(Estimator(), one_token_per_event=True)), undoes=False)
    for _ in range(4):
        read = event(" must cannot header")
        assert way.pass_on(read, 1.0) is read
    assert meter.tokens == 4
