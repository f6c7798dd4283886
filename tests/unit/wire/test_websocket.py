"""Handshakes, and where frames end however the bytes come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.faults import FaultError
from proxy.wire import websocket
from proxy.wire.websocket import Frames, close
from tests.support.heads import head


def frame(size: int, *, opcode: int = 2, masked: bool = False) -> bytes:
    bit = 0x80 if masked else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 65536:
        length = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([bit | 127]) + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + (b"mask" if masked else b"") + b"\x88" * size


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 125, 126, 127, 70_000]), st.booleans()), max_size=6),
    st.lists(st.integers(1, 9000), min_size=1, max_size=30),
)
def test_a_border_is_a_border_in_whatever_pieces_it_comes(frames: list[tuple[int, bool]], cuts: list[int]) -> None:
    parts = [frame(size, masked=masked) for size, masked in frames]
    whole = b"".join(parts)
    borders = {0}
    for part in parts:
        borders.add(max(borders) + len(part))
    found, at = Frames(), 0
    for cut in [*cuts, len(whole)]:
        piece = whole[at : at + cut]
        assert found.feed(piece) == len(piece)
        at += len(piece)
        assert found.at_border is (at in borders)
    assert not found.closed


@given(st.integers(0, 400), st.integers(0, 400))
def test_up_to_the_next_border_and_no_further(at: int, more: int) -> None:
    whole = frame(300) + frame(50)
    at = min(at, len(whole))
    found = Frames()
    found.feed(whole[:at])
    rest = whole[at:] + b"\x82" * more
    border = 0 if at in (0, 304, 356) else 304 - at if at < 304 else 356 - at
    assert found.feed(rest, to_border=True) == border
    assert found.at_border


@pytest.mark.parametrize("masked", [False, True])
def test_a_close_of_ours_is_a_close(masked: bool) -> None:
    found = Frames()
    said = close(1001, "ä" * 200, masked=masked)
    assert len(said) <= 2 + 4 + 125
    found.feed(said)
    assert found.closed
    assert found.at_border


def test_what_is_no_frame_has_a_length_too() -> None:
    found = Frames()
    found.feed(b"\x82\x7f" + b"\xff" * 8 + b"x" * 100)
    assert not found.at_border


@pytest.mark.parametrize(
    ("target", "model", "renamed"),
    [
        ("/v1/realtime", None, "/v1/realtime"),
        ("/v1/realtime?model=", None, "/v1/realtime?model=a%2Fb%26c"),
        ("/v1/realtime?model=m", "m", "/v1/realtime?model=a%2Fb%26c"),
        ("/v1/realtime?x=1&model=my%2Fm&call_id=7", "my/m", "/v1/realtime?x=1&model=a%2Fb%26c&call_id=7"),
        ("/v1/realtime?submodel=x", None, "/v1/realtime?submodel=x"),
        ("/v1/realtime?model=m&model=m", "m", "/v1/realtime?model=a%2Fb%26c&model=a%2Fb%26c"),
    ],
)
def test_the_model_of_the_query(target: str, model: str | None, renamed: str) -> None:
    assert websocket.model_in(target) == model
    assert websocket.with_model(target, "a/b&c") == renamed


@pytest.mark.parametrize("query", ["model=a&model=b", "model=%00", "model=" + "x" * 600])
def test_what_is_no_model(query: str) -> None:
    with pytest.raises(FaultError) as told:
        websocket.model_in(f"/v1/realtime?{query}")
    assert told.value.fault.param == "model"


def test_a_key_among_subprotocols_is_the_authorization_and_no_subprotocol() -> None:
    one = head(sec_websocket_protocol="realtime, openai-insecure-api-key.sk-1,openai-beta.realtime-v1")
    websocket.with_shown_key(one)
    assert one.fields[b"authorization"] == b"Bearer sk-1"
    assert one.fields[b"sec-websocket-protocol"] == b"realtime, openai-beta.realtime-v1"
    assert (b"authorization", b"Bearer sk-1") in one.forward


def test_both_keys_at_once_and_the_header_counts() -> None:
    one = head(sec_websocket_protocol="openai-insecure-api-key.sk-1", authorization="Bearer sk-2")
    websocket.with_shown_key(one)
    assert one.fields[b"authorization"] == b"Bearer sk-2"
    assert b"sec-websocket-protocol" not in one.fields
    none = head(sec_websocket_protocol="realtime, openai-insecure-api-key.")
    websocket.with_shown_key(none)
    assert b"authorization" not in none.fields
    assert none.fields[b"sec-websocket-protocol"] == b"realtime"


def test_an_engine_is_asked_for_what_the_client_asks() -> None:
    one = head(sec_websocket_key="k", sec_websocket_version="13", sec_websocket_extensions="permessage-deflate")
    assert websocket.forwarded(one)[-5:] == [
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-key", b"k"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-extensions", b"permessage-deflate"),
    ]


def test_an_engine_that_did_not_accept_switched_nothing() -> None:
    accept = (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    assert websocket.answered([accept, (b"server", b"x")])[2:] == [(b"sec-websocket-accept", accept[1])]
    assert websocket.answered([]) == []
    assert websocket.answered([accept, accept]) == []
    assert websocket.answered([(b"sec-websocket-accept", b"no")]) == []


def test_its_route_and_what_asks_for_it() -> None:
    assert websocket.is_asked_for(b"/v1/realtime?model=m")
    assert websocket.is_asked_for(b"/realtime/")
    assert not websocket.is_asked_for(b"/v1/responses")
    assert websocket.is_upgrade([(b"Upgrade", b"h2c, WebSocket/13")])
    assert not websocket.is_upgrade([(b"upgrade", b"h2c")])
