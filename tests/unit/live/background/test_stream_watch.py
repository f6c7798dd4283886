"""What is told of streams once a second: which of them count, and how many tokens their events hold."""

import asyncio
import json
from collections.abc import Callable

import pytest

from proxy.live.background.stream_watch import GivesUp, StreamWatch
from proxy.live.driver import Driver
from proxy.live.relay import Relay
from proxy.model.commands import Command, Flowed
from proxy.model.faults import Kind, Retry
from tests.unit.live.standins import Sink
from tests.unit.live.test_relay import NOW, SSE, relay_of

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'


class Asked:
    """A request with an answer on its way."""

    def __init__(self, job_id: int, relay: Relay | None) -> None:
        self.attempt_id = job_id
        self.relay = relay

    def fits(self, backend: str) -> bool:
        return True


class Bed:
    """`StreamWatch` and what it told."""

    def __init__(self, gives_up: GivesUp | None = None, sleeps_on: Callable[[int], bool] = lambda _: False) -> None:
        self.told: list[Flowed] = []
        self.running: list[Asked] = []
        self.now = 1000.0
        driver = Driver(_Listener(self.told), asyncio.get_running_loop(), self.clock)
        self.silences: list[float] = []
        self.flows = StreamWatch(self.running, driver, gives_up or self._gives_up, sleeps_on, self.clock)
        self.flows.look(self.now)

    def _gives_up(self, _: int, silent_s: float, *__: object) -> bool:
        self.silences.append(silent_s)
        return False

    def clock(self) -> float:
        return self.now

    def begin(self) -> Relay:
        relay, _ = relay_of()
        relay.on_head(200, SSE, NOW)
        self.running.append(Asked(len(self.running) + 1, relay))
        say(relay, 1)
        relay.start(Sink())
        return relay

    def look(self, after_s: float = 1.0) -> list[Flowed]:
        self.told.clear()
        self.now += after_s
        self.flows.look(self.now)
        return list(self.told)


class _Listener:
    """In the place of the scheduler."""

    def __init__(self, told: list[Flowed]) -> None:
        self._told = told

    def observe(self, report: Flowed, now: float) -> list[Command]:
        self._told.append(report)
        return []

    def wakeup_at(self) -> None:
        return None


def say(relay: Relay, events: int) -> None:
    for _ in range(events):
        event = {"choices": [{"index": 0, "delta": {"content": "word"}, "finish_reason": None}]}
        relay.on_body(b"data: " + json.dumps(event).encode() + b"\n\n", NOW)


@pytest.fixture
async def bed() -> Bed:
    bed = Bed()
    bed.flows.ended("alpha", 100, 100)
    return bed


async def test_streams_that_flowed_all_the_time_are_told_of_together(bed: Bed) -> None:
    relays = [bed.begin(), bed.begin()]
    assert bed.look() == []
    say(relays[0], 30)
    say(relays[1], 10)
    bed.begin()
    assert bed.look(0.5) == [Flowed("alpha", 1.0, 40.0)]
    relays[0].on_end()
    assert [report.stream_s for report in bed.look()] == [2.0]


async def test_an_event_holds_as_many_tokens_as_engines_told_lately(bed: Bed) -> None:
    relay = bed.begin()
    bed.look()
    for _ in range(60):
        bed.flows.ended("alpha", 400, 100)
    say(relay, 10)
    (report,) = bed.look()
    assert report.tokens == pytest.approx(40.0, rel=0.01)


async def test_nothing_is_told_before_it_is_known_what_an_event_holds() -> None:
    bed = Bed()
    relay = bed.begin()
    bed.look()
    say(relay, 10)
    assert bed.look() == []


async def test_a_client_that_keeps_a_stream_back_accuses_nobody(bed: Bed) -> None:
    relay = bed.begin()
    bed.look()
    relay.on_pause(paused=True)
    assert bed.look() == []
    assert bed.look() == []
    relay.on_pause(paused=False)
    assert bed.look() == [], "it was kept back for a part of it"
    assert bed.look() == [], "from here on it counts"
    say(relay, 5)
    assert bed.look() == [Flowed("alpha", 1.0, 5.0)]


async def test_requests_without_an_answer_and_answers_in_one_piece_are_left_out(bed: Bed) -> None:
    whole, _ = relay_of()
    whole.on_head(200, [(b"content-type", b"application/json")], NOW)
    bed.running += [Asked(1, None), Asked(2, whole)]
    bed.look()
    assert bed.look() == []


async def test_a_pause_of_our_own_is_nobodys_silence(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came while we stood still is not read yet."""
    monkeypatch.setattr(Relay, "could_go_on_elsewhere", True)
    bed.begin()
    bed.look()
    bed.look()
    assert bed.silences == [pytest.approx(2.0, abs=0.5)]
    assert bed.look(60.0) == []
    assert len(bed.silences) == 1
    assert bed.look() == [Flowed("alpha", 1.0, 0.0)]
    assert bed.silences[1:] == [1.0], "counted from then on"


async def test_streams_that_are_silent_are_asked_about_even_where_nobody_could_go_on() -> None:
    asked: list[tuple[object, ...]] = []

    def gives_up(*question: object) -> bool:
        asked.append(question)
        return True

    bed = Bed(gives_up)
    relay = bed.begin()
    say(relay, 4)
    bed.look()
    assert asked == []
    bed.look()
    ((job_id, silent_s, now, fits, token_s),) = asked
    assert (job_id, now, fits) == (1, bed.now, None)
    assert isinstance(silent_s, float)
    assert isinstance(token_s, float)
    assert relay.fault is not None
    assert relay.fault.kind is Kind.STALLED
    bed.look()
    assert len(asked) == 1, "it is over"


@pytest.mark.parametrize("has_begun", [False, True], ids=["a head alone", "a role"])
async def test_a_stream_without_a_token_is_given_up_where_its_engine_is_gone(has_begun: bool) -> None:
    """vLLM that is stopped between the role and the first token keeps its streams open, and says nothing any more."""
    gone: set[int] = set()
    bed = Bed(gives_up=lambda attempt_id, *_: attempt_id in gone)
    relays = [relay_of()[0] for _ in range(2)]
    for attempt_id, relay in enumerate(relays, start=1):
        bed.running.append(Asked(attempt_id, relay))
        relay.calls = 1
        relay.on_head(200, SSE, NOW)
        if has_begun:
            relay.on_body(ROLE, NOW)
            relay.start(Sink())
    for _ in range(12):
        bed.look()
    assert [relay.fault for relay in relays] == [None, None], "while it is there, it is waited for"
    gone.add(2)
    bed.look()
    assert relays[0].fault is None
    fault = relays[1].fault
    assert fault is not None
    assert fault.kind is Kind.STALLED
    assert (fault.retry is Retry.SAFE) is not has_begun


async def test_a_prompt_has_time_to_be_computed_by_an_engine_that_ends_in_good_order() -> None:
    bed = Bed(gives_up=lambda *_: True)
    relay, _ = relay_of()
    bed.running.append(Asked(1, relay))
    relay.calls = 1
    relay.on_head(200, SSE, NOW)
    for _ in range(10):
        bed.look()
        assert relay.fault is None
    bed.look()
    assert relay.fault is not None


async def test_what_was_sent_to_an_engine_that_sleeps_is_taken_back() -> None:
    bed = Bed(sleeps_on=lambda job_id: job_id == 2)
    waiting = [relay_of()[0] for _ in range(3)]
    for job_id, relay in enumerate(waiting, start=1):
        bed.running.append(Asked(job_id, relay))
        relay.calls = 1
    waiting[1].on_head(200, SSE, NOW)  # vLLM sends it before it has begun
    waiting[2].calls = 0
    bed.look()
    assert [relay.ready.done() for relay in waiting] == [False, True, False]
    fault = waiting[1].fault
    assert fault is not None
    assert (fault.kind, fault.retry) == (Kind.STALLED, Retry.SAFE)
