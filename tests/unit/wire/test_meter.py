"""When tokens came: the first one, the last one, and the gaps between, per token and per event."""

import pytest

from proxy.model.histogram import Histogram
from proxy.wire.event import Event
from proxy.wire.meter import Meter

ROLE = Event(b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n')
STOP = Event(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')


def text(word: str = "a") -> Event:
    return Event(b'data: {"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % word.encode())


def count(of: Histogram) -> float:
    return of.buckets()[-1][1]


def metered(*times: float, tokens: int = 1) -> Meter:
    meter = Meter()
    for now in times:
        meter.saw(text(), now, tokens)
    return meter


def test_the_first_token_is_the_first_event_with_output_and_is_told_once() -> None:
    meter, told = Meter(), list[float]()
    meter.on_first = lambda: told.append(1.0)
    meter.saw(ROLE, 1.0)
    assert (meter.first_token, meter.events, told) == (None, 0, [])
    meter.saw(text(), 2.0)
    meter.saw(text(), 3.0)
    assert (meter.first_token, meter.last_token, meter.events, told) == (2.0, 3.0, 2, [1.0])
    assert meter.on_first is None


def test_what_ends_a_text_is_no_token() -> None:
    meter = metered(1.0, 2.0)
    meter.saw(STOP, 9.0)
    assert (meter.events, meter.last_token) == (2, 2.0)


def test_tpot_needs_two_tokens_and_believes_the_engine() -> None:
    assert metered(1.0).tpot_s(None) is None
    assert metered(1.0).token_s() == 0.0
    meter = metered(1.0, 2.0, 3.0)
    assert (meter.tpot_s(None), meter.token_s()) == (1.0, 1.0)
    assert meter.tpot_s(5) == 0.5, "an event held more than one"
    assert Meter().tpot_s(100) is None


@pytest.mark.parametrize(("tokens", "per_token", "per_event"), [(1, 2, 2), (3, 2 * 3, 2)])
def test_gaps_are_handed_over_once(tokens: int, per_token: int, per_event: int) -> None:
    meter = metered(1.0, 1.3, 1.6, tokens=tokens)
    all_tokens, all_events = Histogram(), Histogram()
    meter.hand_over(all_tokens, all_events)
    assert (count(all_tokens), count(all_events)) == (per_token, per_event)
    assert all_events.sum == pytest.approx(0.6)
    assert all_tokens.sum == pytest.approx(0.6), "an event of three spreads its gap over three"
    meter.hand_over(all_tokens, all_events)
    assert (count(all_tokens), count(all_events)) == (per_token, per_event)
    meter.saw(text(), 2.0, tokens)
    meter.hand_over(all_tokens, all_events)
    assert count(all_events) == per_event + 1
