"""What the writer asks of an answer: every answer that there is has it, before and after it began to flow."""

import ast
from pathlib import Path

import pytest

import proxy
from proxy.live import answer as module
from proxy.live.downstream.connection import ClientConnection
from proxy.live.relay import Relay
from proxy.live.stream import TimedStream
from proxy.model.faults import Kind, upstream
from proxy.wire.usage import NO_USAGE
from tests.unit.live.standins import Sink
from tests.unit.live.test_relay import JSON, NOW, SSE, relay_of


def asked_of(interface: str) -> set[str]:
    """The names that an interface has, as it is written down."""
    tree = ast.parse((Path(proxy.__file__).parent / "live" / "answer.py").read_text())
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == interface]
    return {node.name for node in found.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    ("interface", "kind"), [("Answer", Relay), ("Events", TimedStream), ("Sink", ClientConnection), ("Sink", Sink)]
)
def test_whoever_is_one_has_all_of_it(interface: str, kind: type) -> None:
    assert asked_of(interface) <= set(dir(kind))


async def test_an_answer_that_is_whole_is_complete_when_it_is_looked_at() -> None:
    relay, _ = relay_of()
    relay.on_head(200, JSON, NOW)
    relay.on_body(b'{"usage":{"completion_tokens":3}}', NOW)
    relay.on_end()
    found: module.Answer = relay
    assert (found.complete, found.fault, found.events, found.status) == (True, None, None, 200)
    assert found.usage().completion_tokens == 3


async def test_a_stream_says_how_far_it_is_and_why_it_broke_off() -> None:
    relay, _ = relay_of()
    relay.on_head(200, SSE, NOW)
    relay.on_body(b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n', NOW)
    found: module.Answer = relay
    sink = Sink()
    done = found.start(sink)
    relay.on_fault(upstream(Kind.CUT, "gone"))
    assert done.done()
    assert found.fault is not None
    events = found.events
    assert events is not None
    assert (events.saw_done, events.saw_error, events.has_ended, events.unsent_error) == (False, False, False, b"")
    assert events.last_event == sink.bytes
    assert (found.usage(), found.meter.tokens) == (NO_USAGE, 1)
