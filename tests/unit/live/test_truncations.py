"""What an attempt is told to have lost: only where its engine does such things and everything needed is known."""

import logging
from typing import Any

import pytest

from proxy.engines.base import Dialect
from proxy.engines.registry import DIALECTS, UNKNOWN
from proxy.live.attempt import Try
from proxy.live.truncations import truncated
from proxy.model.commands import Dispatch
from proxy.model.endpoint import Endpoint
from proxy.wire.usage import NO_USAGE, Usage
from tests.support.route_engine import RouteEngine
from tests.unit.live.test_job import Bed

LONG = b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % (b"The boats are out. " * 2000)
CUT = Usage(900, 5)


class Tried:
    """One attempt at an engine of some kind, which told its context."""

    def __init__(self, dialect: Dialect, contexts: dict[str, int], body: bytes = LONG) -> None:
        nowhere = RouteEngine({})
        nowhere.url = "http://127.0.0.1:9"
        bed = Bed({"a": nowhere})
        loop = bed.job()
        self.call = loop._call
        self.call.body = body
        self.backend = bed.backends["a"]
        self.backend.dialect, self.backend.contexts = dialect, contexts
        self.caller = bed.jobs.caller
        relay = self.caller.relay(self.call, self.backend)
        self.one = Try(Dispatch((1,), "a", 1), self.call, self.backend, relay, bed.driver)

    def found(self, usage: Usage) -> str:
        return truncated(self.one, usage, self.caller)


@pytest.mark.parametrize("name", ["m", "m:latest"])
async def test_ollama_that_computed_less_than_was_sent(name: str) -> None:
    assert Tried(DIALECTS["ollama"], {name: 1000}).found(CUT) == "prompt"


async def test_an_answer_beyond_the_context() -> None:
    tried = Tried(DIALECTS["llama_cpp"], {"m": 1000}, b'{"model":"m"}')
    assert tried.found(Usage(900, 500)) == "context"
    assert tried.found(Usage(900, 50)) == ""


@pytest.mark.parametrize(
    ("dialect", "contexts", "usage"),
    [
        (DIALECTS["vllm"], {"m": 1000}, CUT),
        (UNKNOWN, {"m": 1000}, CUT),
        (DIALECTS["llama_cpp"], {"m": 1000}, CUT),
        (DIALECTS["ollama"], {}, CUT),
        (DIALECTS["ollama"], {"other": 1000}, CUT),
        (DIALECTS["ollama"], {"m": 1000}, NO_USAGE),
        (DIALECTS["ollama"], {"m": 100_000}, CUT),
    ],
)
async def test_nothing_is_said_where_it_does_not_show(dialect: Dialect, contexts: dict[str, int], usage: Any) -> None:
    assert Tried(dialect, contexts).found(usage) == ""


async def test_lists_of_inputs_have_a_context_each() -> None:
    tried = Tried(DIALECTS["ollama"], {"m": 1000})
    tried.call.request.endpoint = Endpoint.EMBEDDINGS
    assert tried.found(CUT) == ""


async def test_a_body_that_is_no_object_is_none_to_judge() -> None:
    assert Tried(DIALECTS["ollama"], {"m": 1000}, b"[" * 9000).found(CUT) == ""
    assert Tried(DIALECTS["ollama"], {"m": 10}, b"[1, 2, 3, 4, 5, 6]").found(Usage(1, 1)) == ""


async def test_its_operator_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tried = Tried(DIALECTS["ollama"], {"m": 1000})
    with caplog.at_level(logging.WARNING, "tidegate.backends"):
        assert [tried.found(CUT) for _ in range(3)] == ["prompt"] * 3
    assert len([record for record in caplog.records if "OLLAMA_CONTEXT_LENGTH" in record.message]) == 1


async def test_a_context_that_ollamas_client_asks_for_is_another_one() -> None:
    tried = Tried(DIALECTS["ollama"], {"m": 1000})
    tried.call.request.endpoint = Endpoint.OLLAMA_CHAT
    assert tried.found(CUT) == "prompt"
    for more, found in ((b'"options":{"num_ctx":8192},', ""), (b'"options":{"seed":1},"num_ctx":1,', "prompt")):
        tried.call.body = LONG.replace(b"{", b"{" + more, 1)
        assert tried.found(CUT) == found
