"""The two letters of an ending: each pair means one thing."""

import pytest

from proxy.model.faults import Kind, downstream, internal, upstream
from proxy.model.outcome import Phase, Verdict, failed_with

LEFT = downstream(Kind.LEFT, "The client left.")


@pytest.mark.parametrize("phase", list(Phase))
def test_a_client_that_left_is_told_by_where_it_left(phase: Phase) -> None:
    outcome = failed_with(LEFT, phase)
    assert (outcome.verdict, outcome.end_code) == (Verdict.CANCELLED, "C" + phase.value)


@pytest.mark.parametrize("kind", [Kind.MODEL_NOT_FOUND, Kind.INVALID, Kind.UNKNOWN_ROUTE])
def test_a_wrong_request_never_looks_like_a_client_that_left_while_held(kind: Kind) -> None:
    outcome = failed_with(downstream(kind, "No such thing."), Phase.QUEUE)
    assert (outcome.verdict, outcome.end_code) == (Verdict.FAILED, "CR")


def test_what_an_engine_refuses_is_refused_there() -> None:
    assert failed_with(downstream(Kind.INVALID, "Too long."), Phase.HEAD).end_code == "CH"


def test_refused_while_held() -> None:
    outcome = failed_with(internal(Kind.HOLD_TIMEOUT, "Too late."), Phase.QUEUE)
    assert (outcome.verdict, outcome.end_code) == (Verdict.SHED, "PQ")


def test_a_backend_that_died() -> None:
    outcome = failed_with(upstream(Kind.RESET, "It died."), Phase.HEAD)
    assert (outcome.verdict, outcome.end_code) == (Verdict.FAILED, "UH")
