"""Who keeps what: learned from answers, known to one tenant, bounded."""

from collections.abc import Coroutine
from typing import Any

import orjson
import pytest

from proxy.live.owners import Owners
from proxy.live.stored import Placed, Stored
from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError
from proxy.model.limits import StoredLimits
from proxy.model.request import Request
from proxy.model.units import MIB
from proxy.wire.headers import Head
from proxy.wire.identity import whose_of
from tests.unit.live.standins import Taker

OTHERS = whose_of("others", {})
CREATED = b'data: {"type":"response.created","response":{"id":"r1"}}\n\n'


class Given:
    """As much of an answer as is looked at."""

    def __init__(self, body: bytes = b"", status: int = 200, events: object | None = None) -> None:
        self.body, self.status, self.events, self.backend = body, status, events, "a"
        self.headers: list[tuple[bytes, bytes]] = []


def at_once(work: Coroutine[Any, Any, Placed]) -> Placed:
    """Nobody is waited for where there is no second level."""
    try:
        work.send(None)
    except StopIteration as done:
        placed: Placed = done.value
        return placed
    raise AssertionError("somebody is waited for")


class Now:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def head(tenant: str = "mine") -> Head:
    return Head(
        method="POST",
        target=b"/v1/responses",
        host=b"x",
        request_id="r",
        forward=[],
        content_type=b"application/json",
        content_encoding=b"",
        expects_continue=False,
        origin=b"",
        client_attempt=0,
        client_timeout_s=None,
        traffic_class="",
        fields={},
        tenant=tenant,
    )


def asks(target: str = "/v1/responses", method: str = "POST") -> Request:
    endpoint = Endpoint.RESPONSES if target == "/v1/responses" else Endpoint.STORED
    return Request("r", method, target, endpoint, "m" if endpoint is Endpoint.RESPONSES else None)


class House:
    def __init__(self, *backends: str) -> None:
        self.clock = Now()
        self.owners = Owners(StoredLimits())
        self.stored = Stored(self.owners, frozenset(backends or ("a", "b")), self.clock)

    def place(self, target: str = "/v1/responses", method: str = "POST", tenant: str = "mine", **fields: Any) -> Placed:
        return at_once(self.stored.place(head(tenant), asks(target, method), fields))

    def made(self, name: str = "r1", **fields: Any) -> None:
        answer: Any = Given(orjson.dumps({"id": name}))
        self.place(**fields).saw(answer, "m")


def test_a_whole_answer_tells_where_the_next_turn_goes() -> None:
    house = House()
    house.made()
    placed = house.place(previous_response_id="r1")
    assert placed.head.pin == "a"
    assert house.place("/v1/responses/r1", "GET").model == "m"
    assert house.place().head.pin == ""


def test_a_stream_tells_it_before_the_client_has_the_event_that_does() -> None:
    house, client = House(), Taker()
    answer: Any = Given(events=object())
    sink = house.place().around(client, answer)
    sink.send(b": hello\n\n" + CREATED[:20])
    assert not len(house.owners)
    sink.send_chunk(CREATED[20:], b"2c\r\n" + CREATED[20:])
    assert len(house.owners) == 1
    sink.send(b"data: x\n\n")
    assert client.got == [b": hello\n\n" + CREATED[:20], b"2c\r\n" + CREATED[20:], b"data: x\n\n"]


@pytest.mark.parametrize("piece", [b"data: {}\n\n" * 9, b"data: " + b"x" * (2 * MIB)])
def test_a_stream_that_tells_none_is_let_be(piece: bytes) -> None:
    house, client = House(), Taker()
    answer: Any = Given(events=object())
    sink = house.place().around(client, answer)
    sink.send(piece)
    sink.send(b"\n\n" + CREATED)
    assert not len(house.owners)
    assert b"".join(client.got) == piece + b"\n\n" + CREATED


@pytest.mark.parametrize("answer", [Given(b'{"id":"r1"}', 400), Given(b"{}"), Given(b"")])
def test_what_made_nothing_is_not_remembered(answer: Any) -> None:
    house = House()
    house.place().saw(answer, "m")
    assert not len(house.owners)


def test_what_is_not_to_be_stored_is_not_remembered() -> None:
    house = House()
    house.made(store=False)
    assert not len(house.owners)


def test_what_was_deleted_is_gone_and_an_item_of_it_is_not_all() -> None:
    house, gone = House(), Given(b'{"deleted":true}')
    answer: Any = gone
    house.made("c1")
    house.place("/v1/conversations/c1/items/m1", "DELETE").saw(answer, "m")
    assert house.place("/v1/conversations/c1", "GET").head.pin == "a"
    house.place("/v1/conversations/c1", "DELETE").saw(answer, "m")
    with pytest.raises(FaultError, match="'c1' not found"):
        house.place("/v1/conversations/c1", "GET")


def test_nobody_else_knows_it_not_even_where_there_is_one_backend() -> None:
    house = House("a")
    house.made()
    with pytest.raises(FaultError, match="not found"):
        house.place(previous_response_id="r1", tenant="others")
    house.owners.learn(OTHERS, "c1", "a", "m", 0.0)
    with pytest.raises(FaultError, match="'c1' not found"):
        house.place(previous_response_id="r1", conversation="c1")


def test_the_only_backend_is_asked_for_the_unknown_where_nobody_has_a_name() -> None:
    assert House("a").place(previous_response_id="old", tenant="").head.pin == ""
    with pytest.raises(FaultError):
        House("a", "b").place(previous_response_id="old", tenant="")
    with pytest.raises(FaultError):
        House("a").place(previous_response_id="x" * 257, tenant="")


def test_a_backend_that_is_no_more_has_nothing() -> None:
    house = House()
    house.made()
    later = Stored(house.owners, frozenset({"b", "c"}), house.clock)
    with pytest.raises(FaultError, match="not found"):
        at_once(later.place(head(), asks("/v1/responses/r1", "GET"), {}))


def test_an_id_that_is_asked_for_is_kept_for_longer() -> None:
    house = House()
    house.made()
    for _ in range(3):
        house.clock.now += 20 * 3600
        assert house.place(previous_response_id="r1").head.pin == "a"
    house.clock.now += 25 * 3600
    with pytest.raises(FaultError):
        house.place(previous_response_id="r1")


def test_what_a_fallback_served_goes_on_with_that_model() -> None:
    house = House()
    answer: Any = Given(b'{"id":"r1"}')
    house.place().saw(answer, "small")
    assert house.place(previous_response_id="r1").model == "small"
    assert house.place("/v1/responses/r1", "GET").model == "small"


def test_of_a_conversation_each_turn_names_its_model() -> None:
    house = House()
    house.owners.learn(whose_of("mine", {}), "c1", "a", "first", 0.0)
    assert house.place(conversation="c1").model == "m"
    assert house.place("/v1/conversations/c1", "GET").model == "first"
