"""Which requests of the page go to the data port's handler, and how they look there."""

from typing import Any

import pytest

from proxy.live.downstream.message import Message
from proxy.live.page.playground import Playground, methods
from proxy.model.limits import HeadLimits
from proxy.wire.headers import Head, HeaderPolicy, check_head


def head(target: bytes, *headers: tuple[bytes, bytes]) -> Head:
    return check_head(
        b"POST",
        target,
        "1.1",
        [(b"Host", b"localhost"), *headers],
        limits=HeadLimits(),
        policy=HeaderPolicy(),
        new_id=lambda: "id",
    )


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/play/v1/chat/completions", ("POST",)),
        ("/play/v1/models", ("GET",)),
        ("/play/v1/tidegate/requests/req-1", ("GET",)),
        ("/play/v1/tidegate/requests/req-1/expand", ("POST",)),
        ("/play/v1/embeddings", None),
        ("/play", None),
        ("/play/", None),
        ("/player", None),
        ("/play/v1/chat/completions/", None),
        ("/play/play/v1/models", None),
    ],
)
def test_paths(path: str, known: Any) -> None:
    assert methods(path) == known


@pytest.mark.parametrize(("headers", "pin"), [((), ""), (((b"X-Tidegate-Backend", b"alpha"),), "alpha")])
async def test_the_handler_gets_it_as_a_client_sends_it(headers: Any, pin: str) -> None:
    got: list[Message] = []

    async def handle(connection: Any, message: Message) -> None:
        got.append(message)

    message = Message(head(b"/play/v1/chat/completions?a=b", *headers), b"{}", True, False)
    await Playground(handle).answer(None, message)  # type: ignore[arg-type]
    assert got[0].head is not None
    assert got[0].head.target == b"/v1/chat/completions?a=b"
    assert got[0].head.pin == pin
    assert got[0].head.forward == [], "no engine hears of it"
    assert message.head is not None
    assert message.head.pin == ""


def test_a_client_cannot_pin() -> None:
    assert head(b"/v1/chat/completions", (b"X-Tidegate-Backend", b"alpha")).pin == ""
