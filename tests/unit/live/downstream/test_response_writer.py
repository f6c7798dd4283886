"""The framing of answers, and what of them is out."""

from typing import cast

import pytest

from proxy.live.downstream.message import Message
from proxy.live.downstream.response_writer import ResponseWriter
from tests.unit.live.standins import Transport
from tests.unit.wire.asking import head_of


def answering(
    method: bytes = b"POST", *, http10: bool = False, keep_alive: bool = True
) -> tuple[ResponseWriter, Transport]:
    writer, transport = ResponseWriter(), Transport()
    writer.transport = transport
    writer.answers(Message(head_of(method=method), b"", keep_alive, http10))
    return writer, transport


def head_and_body(transport: Transport) -> tuple[list[bytes], bytes]:
    head, _, body = transport.written.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[1:], body


def test_a_whole_answer_says_its_length_and_is_out_at_once() -> None:
    writer, transport = answering()
    assert not writer.head_sent
    writer.respond(200, [(b"a", b"b")], b"xyz")
    assert head_and_body(transport) == ([b"a: b", b"content-length: 3"], b"xyz")
    assert (writer.head_sent, writer.sent, writer.closing) == (True, False, False)


def test_the_answer_to_a_head_request_has_the_length_and_no_body() -> None:
    writer, transport = answering(b"HEAD")
    writer.respond(200, [], b"xyz")
    assert head_and_body(transport) == ([b"content-length: 3"], b"")


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_says_no_length(status: int) -> None:
    writer, transport = answering()
    writer.respond(status, [], b"")
    assert head_and_body(transport) == ([], b"")


def test_chunks() -> None:
    writer, transport = answering()
    writer.begin(200, [], None)
    writer.send(b"ab")
    writer.send_chunk(b"cd", b"2\r\ncd\r\n")
    assert writer.sent
    writer.end()
    assert head_and_body(transport) == ([b"transfer-encoding: chunked"], b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")


def test_a_body_of_a_known_length_passes_as_it_is() -> None:
    writer, transport = answering()
    writer.begin(200, [], 4)
    writer.send(b"ab")
    writer.send_chunk(b"cd", b"2\r\ncd\r\n")
    writer.end()
    assert head_and_body(transport) == ([b"content-length: 4"], b"abcd")


def test_a_client_of_http_1_0_gets_a_body_that_ends_with_the_connection() -> None:
    writer, transport = answering(http10=True)
    writer.begin(200, [], None)
    writer.send(b"ab")
    writer.end()
    assert head_and_body(transport) == ([b"connection: close"], b"ab")
    assert writer.closing


@pytest.mark.parametrize(
    ("http10", "keep_alive", "said"),
    [(False, True, []), (False, False, [b"connection: close"]), (True, True, [b"connection: keep-alive"])],
)
def test_what_becomes_of_the_connection_is_said_where_it_is_not_the_rule(
    http10: bool, keep_alive: bool, said: list[bytes]
) -> None:
    writer, transport = answering(http10=http10, keep_alive=keep_alive)
    writer.respond(204, [], b"")
    assert head_and_body(transport)[0] == said
    assert writer.closing is not keep_alive


def test_the_next_answer_has_begun_with_nothing() -> None:
    writer, _ = answering()
    writer.begin(200, [], None)
    writer.answers(cast(Message, writer.message))
    assert not writer.head_sent
    writer.end()
    writer.abort()
    assert cast(Transport, writer.transport).closed


def test_who_has_left_is_told_nothing() -> None:
    writer, transport = answering()
    writer.transport = None
    writer.begin(200, [], None)
    writer.send(b"ab")
    writer.end()
    writer.abort()
    assert (transport.written, writer.closing) == (b"", True)
