"""What is checked of a request before it becomes a job."""

import asyncio
import gzip
from time import monotonic

import pytest

from proxy.config.plain import read
from proxy.config.schema import Config
from proxy.live.background.address_space import AddressSpace
from proxy.live.background.memory import MemoryGuard
from proxy.live.downstream.bodies import INLINE_B, Bodies
from proxy.live.downstream.budget import Budget
from proxy.live.request_parser import RequestParser
from proxy.live.upstream import backends
from proxy.live.watch import Watch
from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError, Kind
from proxy.model.limits import BodyLimits, Limits, MemoryLimits
from proxy.wire.headers import Head
from proxy.wire.hops import Hops
from proxy.wire.routes import route
from tests.unit.wire.asking import JSON, fault_of, head_of

CHAT = b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":3}'
MIB = 1 << 20


def parser(
    *, kind: str = "vllm", rss_b: int = 0, space_b: int | None = None, forwarded: tuple[str, ...] = ()
) -> RequestParser:
    loop = asyncio.get_running_loop()
    limits = Limits(body=read(BodyLimits, {"size": "64MiB"}))
    memory = MemoryGuard(
        read(MemoryLimits, {"limit": "1000MiB"}),
        lambda: None,
        lambda: None,
        lambda: rss_b,
        AddressSpace(lambda: space_b, lambda: 0),
    )
    memory.check()
    entries = [{"url": "http://127.0.0.1:9", "kind": kind}]
    engines = backends.build(Config.model_validate({"version": 1, "backends": entries}), loop, Watch(loop, monotonic))
    bodies = Bodies(limits, Budget(1 << 30), loop)
    return RequestParser(limits, memory, bodies, Hops("me"), engines, forwarded)


def packed(body: bytes) -> tuple[Head, bytes]:
    return head_of(JSON, (b"Content-Encoding", b"gzip")), gzip.compress(body)


async def test_a_request_that_was_here_before_ends() -> None:
    made = parser()
    made.check_hops(head_of())
    made.check_hops(head_of((b"Via", b"1.1 tidegate-other")))
    assert fault_of(made.check_hops, head_of((b"Via", b"1.1 tidegate-me"))).kind is Kind.LOOP


async def test_routes_are_those_that_an_engine_here_has_or_that_are_forwarded() -> None:
    tokenize = head_of(target=b"/tokenize")
    assert parser(kind="vllm").route(tokenize).plain
    assert fault_of(parser(kind="ollama").route, tokenize).kind is Kind.UNKNOWN_ROUTE
    own = head_of(target=b"/own/route")
    assert fault_of(parser().route, own).kind is Kind.UNKNOWN_ROUTE
    assert parser(forwarded=("/own/route",)).route(own).endpoint is Endpoint.OTHER


async def test_a_method_that_a_route_does_not_have_is_said_with_those_that_it_has() -> None:
    fault = fault_of(parser().route, head_of(method=b"GET"))
    assert fault.kind is Kind.METHOD
    assert "GET is not allowed here; use POST." in fault.message


@pytest.mark.parametrize(
    ("rss_b", "space_b", "body_b", "fits"),
    [(0, None, MIB, True), (999 * MIB, None, 10, False), (0, 300 * MIB, 10, True), (0, 300 * MIB, 32 * MIB, False)],
)
async def test_nothing_is_begun_that_there_may_be_no_memory_for(
    rss_b: int, space_b: int | None, body_b: int, fits: bool
) -> None:
    made = parser(rss_b=rss_b, space_b=space_b)
    if fits:
        made.check_room(head_of(), b"x" * body_b)
    else:
        assert fault_of(made.check_room, head_of(), b"x" * body_b).kind is Kind.MEMORY
    assert made.refuses_bulk() == (rss_b > 0)


async def test_small_bodies_are_parsed_at_once_and_others_apart_with_the_same_result() -> None:
    made, found = parser(), route(b"/v1/chat/completions")
    large = CHAT[:-1] + b',"pad":"' + b"x" * INLINE_B + b'"}'
    zipped = packed(CHAT)
    assert [made.takes_long(*of) for of in ((head_of(JSON), CHAT), (head_of(JSON), large), zipped)] == [
        False,
        True,
        True,
    ]
    request, fields = made.parse(head_of(JSON), found, CHAT)
    apart = await made.parse_apart(zipped[0], found, zipped[1])
    assert (apart.request.model, apart.request.max_tokens, apart.body) == (request.model, request.max_tokens, CHAT)
    assert (request.max_tokens, apart.fields) == (3, fields)
    assert apart.charge_b > 0
    with pytest.raises(FaultError):
        made.parse(head_of(JSON), found, b"[]")
