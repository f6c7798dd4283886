"""What the admin port has for people, path by path."""

import gzip
from time import monotonic
from typing import Any

import orjson
import pytest

from proxy.live.downstream.message import Message
from proxy.live.page.assets import page
from proxy.live.page.console import Answer, Console
from proxy.live.page.feed import Feed
from proxy.live.page.playground import Playground
from tests.unit.live.page.test_feed import Numbers
from tests.unit.live.page.test_playground import head


async def nobody(connection: Any, message: Message) -> None:
    raise AssertionError


def console(playground: bool = False, most: int = 1) -> Console:
    numbers = Numbers()
    feed = Feed(numbers, None, monotonic, most=most)  # type: ignore[arg-type]  # nobody watches here

    def find(seq: int, request_id: str) -> dict[str, Any] | None:
        return {"seq": seq, "id": request_id} if seq == 7 or request_id == "req-1" else None

    return Console(numbers, feed, find, Playground(nobody) if playground else None)


def ask(of: Console, path: str, query: str = "", *headers: tuple[bytes, bytes]) -> Any:
    found = head(path.encode(), *headers)
    return of.answer(path, query, found, Message(found, b"", True, False))


def told(answer: Answer) -> Any:
    return orjson.loads(answer.body)


def test_methods() -> None:
    of = console()
    assert of.methods("/events") == ("GET",)
    assert of.methods("/") == of.methods("/status") == ("GET", "HEAD")
    assert of.methods("/play/v1/models") == ("GET",)
    assert of.methods("/metrics") is of.methods("/nowhere") is of.methods("//") is None


def test_the_page_packed_or_not_or_known() -> None:
    plain = ask(console(), "/")
    assert plain.body == page().plain
    packed = ask(console(), "/", "", (b"accept-encoding", b"br, GZIP"))
    assert gzip.decompress(packed.body) == plain.body
    assert (b"content-encoding", b"gzip") in packed.headers
    known = ask(console(), "/", "", (b"if-none-match", b'W/"x", ' + page().etag))
    assert (known.status, known.body) == (304, b"")
    assert ask(console(), "/", "", (b"if-none-match", b'"x"')).status == 200


def test_status() -> None:
    assert told(ask(console(), "/status"))["made"] == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [("seq=7", 200), ("id=req-1", 200), ("seq=8", 404), ("seq=-1", 404), ("seq=x", 404), ("id=%00", 404), ("", 200)],
)
def test_decisions(query: str, status: int) -> None:
    assert ask(console(), "/decisions", query).status == status


def test_the_most_viewers_are_there() -> None:
    answer = ask(console(most=0), "/events")
    assert answer.status == 503
    assert "most" in told(answer)["error"]
    assert not isinstance(ask(console(), "/events"), Answer)


def test_the_playground_is_off_or_on() -> None:
    path = "/play/v1/chat/completions"
    assert ask(console(), path).status == 403
    assert not isinstance(ask(console(playground=True), path), Answer)
