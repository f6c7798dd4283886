"""Backends and pools."""

from typing import Any

import pytest

from proxy.core.fleet.health import HealthState
from proxy.report.screen.fleet import backends, bound_of, notes, ordered, pools, state_of
from tests.unit.report.screen.documents import backend, status


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "healthy"),
        ({"state": "probation"}, "on trial"),
        ({"state": "ejected"}, "ejected"),
        ({"state": "away"}, "away"),
        ({"state": "melting"}, "melting"),
        ({"leaving": True}, "leaving"),
        ({"paused_for_s": 3.0}, "paused"),
    ],
)
def test_its_state_in_a_word(more: dict[str, Any], word: str) -> None:
    assert state_of(backend(**more)).plain == word


def test_every_state_has_a_word() -> None:
    assert {state_of(backend(state=state.value)).plain for state in HealthState} == {
        "healthy",
        "on trial",
        "ejected",
        "away",
    }


def test_the_tightest_bound_counts() -> None:
    assert bound_of(backend()) == 6
    assert bound_of(backend(places=None, seats=None)) is None


def test_a_line_each() -> None:
    section = backends(status(), 200)
    _, alpha, beta = (line.plain for line in section.lines(section.wanted))
    assert alpha.split()[:4] == ["alpha", "default", "healthy", "3/6"]
    assert "50.0 %" in alpha
    assert "11.9k" in alpha
    assert "back in 12.0 s" in beta


def test_what_is_unusual_is_said() -> None:
    odd = backend(share=0.3, foreign=2.0, failures_in_a_row=4, ttft_samples=0, paused_for_s=2.0, asleep=True)
    assert notes(odd) == [
        "asked for a pause of 2.00 s",
        "asleep",
        "4 failures in a row",
        "slow start, 30.0 %",
        "2 of others",
        "nothing learned yet",
    ]
    assert notes(backend()) == []


def test_orders() -> None:
    every = {
        "calm": backend(in_flight=1),
        "busy": backend(in_flight=9, kv_used_tokens=10.0),
        "slow": backend(in_flight=2, slowness=4.0),
        "gone": backend(in_flight=0, state="away", kv_used_tokens=900.0),
    }
    assert ordered(every, "configured") == ["calm", "busy", "slow", "gone"]
    assert ordered(every, "trouble") == ["gone", "slow", "busy", "calm"]
    assert ordered(every, "in flight")[0] == "busy"
    assert ordered(every, "KV")[0] == "gone"
    assert ordered(every, "slowness")[0] == "slow"


def test_none_at_all_is_said() -> None:
    assert [line.plain for line in backends(status(backends={}), 80).lines(1)] == ["no backends"]


def test_pools_are_shown_where_there_are_several() -> None:
    (section,) = pools(status(), 100)
    _, default, far = (line.plain for line in section.lines(3))
    assert default.split()[:4] == ["default", "1", "22.0", "%"]
    assert "refuses nothing for time yet" in far
    assert pools(status(pools={"default": {}}), 100) == []
