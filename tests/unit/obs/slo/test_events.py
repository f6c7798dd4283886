"""The table of what is good, bad and no event: every kind of fault there is, and the thresholds to the point."""

from dataclasses import replace

import pytest

from proxy.model.faults import Fault, Kind, Source
from proxy.model.outcome import SERVED, TUNNELLED, UNFINISHED, Phase, failed_with
from proxy.model.slos import ServiceLevelObjective
from proxy.obs.slo.events import FAILED, GOOD, NO_EVENT, REFUSED, ended, missed
from proxy.wire.meter import Meter
from proxy.wire.usage import Usage
from tests.unit.obs.records import record, timeline

SLO = ServiceLevelObjective(name="chat", class_="interactive", objective=0.995)
CLIENTS = {kind for kind in Kind if list(Kind).index(kind) <= list(Kind).index(Kind.NOT_KEPT)}
REFUSALS = {Kind.QUEUE_FULL, Kind.HOLD_TIMEOUT, Kind.NO_BACKEND, Kind.CONNECTIONS, Kind.MEMORY, Kind.DRAINING}


def expected(source: Source, kind: Kind) -> str:
    if source is Source.DOWNSTREAM or kind is Kind.QUOTA:
        return NO_EVENT
    return REFUSED if kind in REFUSALS else FAILED


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("phase", Phase)
def test_every_fault_has_its_row(kind: Kind, phase: Phase) -> None:
    source = Source.DOWNSTREAM if kind in CLIENTS else Source.INTERNAL if kind in REFUSALS else Source.UPSTREAM
    assert ended(failed_with(Fault(source, kind, "x"), phase)) == expected(source, kind)


@pytest.mark.parametrize("kind", [Kind.LEFT, Kind.WRITE_STALL])
def test_a_client_that_left_is_no_event_whoever_says_so(kind: Kind) -> None:
    for source in Source:
        assert ended(failed_with(Fault(source, kind, "x"), Phase.STREAM)) == NO_EVENT


def test_what_the_engine_calls_the_clients_fault_is_no_event() -> None:
    assert ended(failed_with(Fault(Source.DOWNSTREAM, Kind.INVALID, "status 400"), Phase.HEAD)) == NO_EVENT


def test_served_is_good() -> None:
    assert ended(SERVED) == ended(UNFINISHED) == GOOD
    assert missed(record(), SLO) == GOOD


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"ttft": 0.25}, GOOD),  # the first token came after exactly that
        ({"ttft": 0.2499}, "ttft"),
        ({"e2e": 2.0}, GOOD),
        ({"e2e": 1.9999}, "e2e"),
        ({"tpot": 1.65 / 7 + 1e-9}, GOOD),
        ({"tpot": 1.65 / 7 - 1e-9}, "tpot"),
        ({"ttft": 0.1, "tpot": 0.01, "e2e": 0.1}, "ttft"),
        ({"ttft": 1.0, "tpot": 0.01, "e2e": 0.1}, "tpot"),
        ({"ttft": 1.0, "tpot": 1.0, "e2e": 0.1}, "e2e"),
    ],
)
def test_thresholds(limits: dict[str, float], why: str) -> None:
    assert missed(record(timeline=timeline(0.0), meter=seen()), replace(SLO, **limits)) == why


def test_an_answer_in_one_piece_can_only_take_too_long() -> None:
    whole = record(stream=False, meter=Meter(), usage=Usage(5, 9, 0))
    assert missed(whole, replace(SLO, ttft=0.001, tpot=0.001)) == GOOD
    assert missed(whole, replace(SLO, ttft=0.001, tpot=0.001, e2e=0.001)) == "e2e"


def test_how_long_a_websocket_was_open_is_its_clients_choice() -> None:
    whole = record(stream=False, meter=Meter(), outcome=TUNNELLED)
    assert missed(whole, replace(SLO, e2e=0.001)) == GOOD
    assert ended(TUNNELLED) == GOOD


def test_a_request_that_did_not_come_to_its_end_has_no_length() -> None:
    assert missed(record(timeline=timeline(done=None)), replace(SLO, e2e=0.001)) == GOOD


def seen() -> Meter:
    from tests.unit.obs.records import meter

    return meter(0.0)
