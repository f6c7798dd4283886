"""A backend that is late: another one is asked too, the first good first byte wins, and the loser is freed at once."""

import json

import pytest

from tests.faults.asking import CHAT, PATH, chat, events, script
from tests.support.bed import backend_entry
from tests.support.engine_scripts import SCRIPTS
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes

AFTER_S = 0.2
HEDGED = {"classes": [{"name": "interactive", "hedge": {"after": "200ms", "budget": "50%"}}]}
FREED_S = 1.0


async def turns(exchange):
    """`turns FIRST | SECOND`: one script for the first attempt, another for the second, wherever they arrive."""
    cut = exchange.arguments.index("|")
    is_second = exchange.request.header("x-request-id").endswith("-2")
    name, *arguments = exchange.arguments[cut + 1 :] if is_second else exchange.arguments[:cut]
    exchange.arguments = arguments
    await SCRIPTS[name](exchange)


class Pair:
    """A proxy before two engines."""

    def __init__(self, proxy, engines):
        self.proxy, self.engines = proxy, engines

    def ask(self, turns, request_id, stream=True, path=PATH, body=None):
        return self.proxy.ask("POST", path, body or chat(stream), script(f"turns {turns}", request_id))

    def requests(self):
        """First and second attempt."""
        return sorted((r for e in self.engines for r in e.requests), key=lambda r: r.received_at)

    def is_freed(self):
        eventually(lambda: all(not r.open for r in self.requests()), "both engines freed", FREED_S)
        eventually(lambda: self.proxy.metrics().total("tidegate_backend_in_flight") == 0, "permits back", FREED_S)


@pytest.fixture
def hedged(start_backend, start_proxy):
    def start(config=None):
        engines = [start_backend(), start_backend()]
        for engine in engines:
            engine.scripts["turns"] = turns
        entries = [backend_entry(e, name) for e, name in zip(engines, ("alpha", "beta"), strict=True)]
        return Pair(start_proxy({"backends": entries, **HEDGED, **(config or {})}), engines)

    return start


@pytest.mark.parametrize("stream", [True, False])
def test_a_backend_that_hangs_costs_a_hedge_and_not_the_answer(hedged, stream):
    pair = hedged()
    answer = pair.ask("hang | slow 0", f"hung-{stream}", stream)
    assert answer.status == 200
    assert answer.complete
    assert not stream or answer.body.endswith(b"data: [DONE]\n\n")
    pair.is_freed()
    first, second = pair.requests()
    assert second.received_at - first.received_at >= AFTER_S * 0.9
    assert first.aborted_at is not None
    assert (first.body, first.target) == (second.body, second.target)
    assert "hedge=won" in answer.head.get("x-tidegate-route")
    line = pair.proxy.log_line(f"hung-{stream}")
    assert (line["end"], line["attempts"], line["hedge"]) == ("--", 2, "won")
    assert line["completion_tokens"] > 0
    told = pair.proxy.metrics()
    assert told.total("tidegate_hedges_total") == told.total("tidegate_hedges_won_total") == 1
    assert told.total("tidegate_hedging_jobs") == 0
    assert told.total("tidegate_requests_total", verdict="served", endpoint="chat.completions") == 1
    assert told.total("tidegate_retries_total") == 0


def test_the_late_one_may_still_win(hedged):
    pair = hedged()
    answer = pair.ask("slow 0.4 | hang", "late")
    assert answer.status == 200
    assert answer.complete
    pair.is_freed()
    first, second = pair.requests()
    assert first.answered_at is not None
    assert second.aborted_at is not None
    assert "hedge=lost" in answer.head.get("x-tidegate-route")
    assert pair.proxy.log_line("late")["hedge"] == "lost"
    assert pair.proxy.metrics().total("tidegate_hedges_won_total") == 0


def test_the_winner_streams_on_with_its_own_tokens_and_nothing_of_the_loser(hedged):
    pair = hedged()
    answer = pair.ask("slow 0.6 | stream 10 0.1", "mixed")
    told = [json.loads(data) for data in events(answer) if data != "[DONE]"]
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in told if c["choices"])
    assert text == "".join(f"t{n} " for n in range(10))
    pair.is_freed()


ERRORS = ["status 500 oops", "status 400 bad", "status 503 busy", "reset"]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_the_second_does_not_win_while_the_first_lives(hedged, error):
    pair = hedged()
    answer = pair.ask(f"slow 0.6 | {error}", "second")
    assert answer.status == 200
    assert answer.complete
    pair.is_freed()
    line = pair.proxy.log_line("second")
    assert (line["end"], line["hedge"]) == ("--", "lost")


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_the_first_does_not_win_while_the_second_lives(hedged, error):
    pair = hedged()
    late = error.replace("status", "slow-status 0.5").replace("reset", "slow-reset 0.5")
    answer = pair.ask(f"{late} | slow 0.6", "first")
    assert answer.status == 200
    assert answer.complete
    pair.is_freed()
    line = pair.proxy.log_line("first")
    assert (line["end"], line["hedge"]) == ("--", "won")


def test_both_die(hedged):
    pair = hedged({"retries": {"attempts": 2}})
    answer = pair.ask("slow-reset 0.5 | reset", "both")
    assert answer.status == 502
    assert answer.error["message"]
    pair.is_freed()
    line = pair.proxy.log_line("both")
    assert (line["end"], line["attempts"], line["hedge"], line["outcome"]) == ("UH", 2, "lost", "failed")
    assert pair.proxy.metrics().total("tidegate_requests_total", endpoint="chat.completions") == 1


def test_the_engines_own_error_is_the_answer_when_nothing_better_comes(hedged):
    pair = hedged({"retries": {"attempts": 2}})
    answer = pair.ask("slow-reset 0.5 | status 409 bad_value", "spare")
    assert answer.status == 409
    assert answer.error["code"] == "bad_value"
    pair.is_freed()


@pytest.mark.parametrize("way", ["close", "half_close", "reset"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_during_a_hedge_frees_both(hedged, stream, way):
    pair = hedged()
    with pair.proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(stream), script("turns hang | hang", "gone")))
        eventually(lambda: len(pair.requests()) == 2, "the hedge", 3.0)
        getattr(connection, way)()
        pair.is_freed()
    assert all(r.aborted_at is not None for r in pair.requests())
    assert pair.proxy.log_line("gone")["end"] == "CH"


def test_what_has_begun_to_answer_is_not_hedged(hedged):
    pair = hedged()
    answer = pair.ask("stream 6 0.15 | hang", "begun")
    assert answer.complete
    assert len(pair.requests()) == 1
    assert "hedge" not in answer.head.get("x-tidegate-route")
    assert pair.proxy.metrics().total("tidegate_late_attempts_total") == 0


def test_what_may_leave_something_behind_is_not_hedged(hedged):
    pair = hedged()
    body = {"model": CHAT["model"], "input": "x"}
    answer = pair.ask("slow 0.5 | hang", "stored", path="/v1/responses", body=body)
    assert answer.status == 200
    assert len(pair.requests()) == 1


def test_the_budget_bounds_hedges(hedged):
    pair = hedged({"classes": [{"name": "interactive", "hedge": {"after": "200ms", "budget": "1%"}}]})
    for n in range(3):
        assert pair.ask("slow 0.5 | slow 0", f"budget-{n}").status == 200
    assert len(pair.requests()) == 4
    assert pair.proxy.metrics().total("tidegate_hedges_withheld_total", reason="budget") > 0


def test_a_drain_cuts_both(hedged):
    pair = hedged({"drain": {"readiness": "0", "streams": "300ms"}})
    with pair.proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(False), script("turns hang | hang", "cut")))
        eventually(lambda: len(pair.requests()) == 2, "the hedge", 3.0)
        pair.proxy.terminate()
        assert connection.answer().status == 503
    assert pair.proxy.wait() == 0
    eventually(lambda: all(r.aborted_at is not None for r in pair.requests()), "both engines freed", FREED_S)


def test_pings_go_on_during_a_race(hedged):
    entry = {"name": "interactive", "hedge": {"after": "200ms", "budget": "50%"}, "stream": {"ping": "100ms"}}
    pair = hedged({"classes": [entry]})
    answer = pair.ask("hang | slow 0.3", "pings")
    assert answer.complete
    assert answer.body.count(b": ping") >= 2
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert pair.proxy.log_line("pings")["hedge"] == "won"
    pair.is_freed()
