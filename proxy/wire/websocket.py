"""WebSocket (RFC 6455) as far as a tunnel has to know it: the handshake's headers, and where frames end.

    handshake    forwarded(head)      what the engine is asked with: the client's own key, so that its answer fits
    auth         with_shown_key(head) `openai-insecure-api-key.KEY` among the subprotocols, as pages send it
    frames       Frames               the border after which a frame of ours may stand; whether a close has passed

Owns no more: what is in a frame is the business of both ends.
"""

import re
from typing import Final
from urllib.parse import quote, unquote_plus

from proxy.model.faults import FaultError, Kind, downstream
from proxy.wire.headers import Head

PATHS: Final = frozenset({b"/v1/realtime", b"/realtime"})
_KEY_PROTOCOL: Final = b"openai-insecure-api-key."
_PROTOCOL: Final = b"sec-websocket-protocol"
_ASKED: Final = (b"sec-websocket-key", b"sec-websocket-version", _PROTOCOL, b"sec-websocket-extensions")
_ANSWERED: Final = frozenset({b"sec-websocket-accept", _PROTOCOL, b"sec-websocket-extensions"})
_SWITCH: Final = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"))
_ACCEPTED: Final = re.compile(rb"[A-Za-z0-9+/]{27}=\Z")
_MODEL: Final = re.compile(r"(?:\A|(?<=&))model=([^&]*)")
_CLOSE: Final = 8
_MASKED: Final = 0x80
GOING_AWAY: Final = 1001
TOO_MUCH: Final = 1008
BAD_GATEWAY: Final = 1014


def is_asked_for(target: bytes) -> bool:
    """Whether a request target is the route of tunnels."""
    return target.partition(b"?")[0].rstrip(b"/") in PATHS


def is_upgrade(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a head asks for WebSocket."""
    asked = b",".join(value for name, value in headers if name.lower() == b"upgrade").lower()
    return b"websocket" in {protocol.partition(b"/")[0].strip() for protocol in asked.split(b",")}


def with_shown_key(head: Head) -> None:
    """A key among the subprotocols becomes an `Authorization`, where there is none, and is no subprotocol any more."""
    offered = head.fields.get(_PROTOCOL)
    if offered is None or _KEY_PROTOCOL not in offered:
        return
    names = [name.strip() for name in offered.split(b",")]
    keys = [name[len(_KEY_PROTOCOL) :] for name in names if name.startswith(_KEY_PROTOCOL)]
    rest = b", ".join(name for name in names if name and not name.startswith(_KEY_PROTOCOL))
    fields = {name: value for name, value in head.fields.items() if name != _PROTOCOL}
    if rest:
        fields[_PROTOCOL] = rest
    if keys and keys[0] and b"authorization" not in fields:
        value = b"Bearer " + keys[0]
        fields[b"authorization"] = value
        head.forward = [*head.forward, (b"authorization", value)]
    head.fields = fields


def forwarded(head: Head) -> list[tuple[bytes, bytes]]:
    """The headers with which an engine is asked for it."""
    asked = [(name, head.fields[name]) for name in _ASKED if name in head.fields]
    return [*head.forward, *_SWITCH, *asked]


def answered(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The head of the answer that switches, from the engine's; empty: it did not accept."""
    found = [(name.lower(), value) for name, value in headers if name.lower() in _ANSWERED]
    accepted = [value for name, value in found if name == b"sec-websocket-accept"]
    if len(accepted) != 1 or not _ACCEPTED.match(accepted[0].strip()):
        return []
    return [*_SWITCH, *found]


def model_in(target: str) -> str | None:
    """The model that the query names; None: none. FaultError where it names several: engines may read either."""
    found = _MODEL.findall(target.partition("?")[2])
    names = {unquote_plus(text) for text in found}
    if len(names) > 1:
        raise FaultError(downstream(Kind.INVALID, "The query names more than one model.", param="model"))
    name = names.pop() if names else ""
    if len(name) > 512 or not name.isprintable():
        raise FaultError(downstream(Kind.INVALID, "`model` is no name of a model.", param="model"))
    return name or None


def with_model(target: str, name: str) -> str:
    """The same target for a backend that calls the model otherwise."""
    path, mark, query = target.partition("?")
    return path + mark + _MODEL.sub(lambda _: "model=" + quote(name, safe=""), query)


def close(code: int, reason: str, *, masked: bool) -> bytes:
    """A close frame. `masked`: of a client, whose frames must be; by zeros, since nothing in it is anybody's."""
    payload = code.to_bytes(2, "big") + reason.encode()[:123]
    head = bytes([0x80 | _CLOSE, len(payload) | (_MASKED if masked else 0)])
    return head + (b"\0\0\0\0" if masked else b"") + payload


class Frames:
    """The frames that pass in one direction."""

    __slots__ = ("_head", "_left_b", "closed")

    def __init__(self) -> None:
        self._head = bytearray()
        """What came of a head that is not whole."""
        self._left_b = 0
        """Of the frame that is passing."""
        self.closed = False
        """A close frame has begun to pass: nothing follows it."""

    @property
    def at_border(self) -> bool:
        """Whether another frame could begin here."""
        return not self._left_b and not self._head

    def feed(self, data: bytes, *, to_border: bool = False) -> int:
        """Bytes that pass: all, or with `to_border` those up to the next border, if there is one."""
        at, size = 0, len(data)
        while at < size:
            if to_border and self.at_border:
                return at
            if self._left_b:
                step = min(self._left_b, size - at)
                self._left_b -= step
                at += step
                continue
            self._head.append(data[at])
            at += 1
            self._begin()
        return at

    def _begin(self) -> None:
        """A frame begins, once its head is whole: 2 bytes, 2 or 8 more of length, 4 of a mask."""
        head = self._head
        if len(head) < 2:
            return
        short = head[1] & 0x7F
        length_b = 2 if short == 126 else 8 if short == 127 else 0
        whole_b = 2 + length_b + (4 if head[1] & _MASKED else 0)
        if len(head) < whole_b:
            return
        self._left_b = int.from_bytes(head[2 : 2 + length_b], "big") if length_b else short
        self.closed = self.closed or head[0] & 0x0F == _CLOSE
        self._head = bytearray()
