"""Requests out of the bytes of one client connection: whole messages, or the fault that ends the reading.

Owns framing, the limits on heads and bodies, and what is taken of the budget for a body until its message is handed
over. Does no I/O: bytes go in by `feed`, which gives the messages that they complete.
"""

from typing import Final

import httptools

from proxy.live.downstream.budget import COPIES
from proxy.live.downstream.message import Message
from proxy.live.downstream.recognised import Recognised
from proxy.live.downstream.terms import Terms
from proxy.live.downstream.upload import Upload
from proxy.model.faults import Fault, FaultError, Kind, downstream
from proxy.wire import framing, websocket
from proxy.wire.headers import Head, check_head

BETWEEN: Final = 0
"""No byte of a next request has come."""
IN_HEAD: Final = 1
IN_BODY: Final = 2
ENDED: Final = 3
"""Nothing more is read."""

_STEP_B: Final = 64 * 1024
"""What is taken for a chunked body at a time."""
_SEPARATORS_B: Final = 4
"""Between a header's name and value, and at its end."""
_NOTHING: Final[list[Message]] = []


class Reader:
    """One per connection."""

    __slots__ = (
        "_barren_b",
        "_body",
        "_charge_b",
        "_chunked",
        "_forward",
        "_head",
        "_head_b",
        "_headers",
        "_http10",
        "_parser",
        "_raw_b",
        "_ready",
        "_recognised",
        "_target",
        "_terms",
        "_trailers",
        "_upgrade",
        "body_b",
        "body_start",
        "peer",
        "state",
        "upload",
        "wants_continue",
    )

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._recognised = Recognised(terms)
        self._ready: list[Message] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._head: Head | None = None
        self._target = b""
        self._head_b = self._raw_b = self._barren_b = self._trailers = self._charge_b = 0
        self._chunked = self._upgrade = self._http10 = False
        self._forward: list[tuple[bytes, bytes]] = []
        """Of the head that is read, as it was before anybody asked whether it may come in."""
        self.state = BETWEEN
        self.peer = ""
        """Address from which the bytes come."""
        self.body_b = 0
        """Of the body being read."""
        self.body_start = 0.0
        """By the clock of the terms."""
        self.wants_continue = False
        """The client waits to be told that its body is welcome."""
        self.upload: Upload | None = None
        """Where the body that is read goes; None: it is kept until it is whole."""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes; the last one may be the fault with which the reading ends."""
        if self._parser is None:
            return _NOTHING
        is_first = self.state == BETWEEN
        if is_first:
            message = self._recognised.message(data, self.peer)
            if message is not None:
                return [message] if message.fault is None else [self._kept_out(message.head, message.fault)]
            if not framing.is_request_line(data):
                return [self.refuse(downstream(Kind.MALFORMED, "The request line is malformed."))]
        body_b = self.body_b
        self._raw_b += len(data)
        self._parse(data)
        if self.state == IN_HEAD:
            self._check_open_head()
        elif self.state == IN_BODY and self._chunked:
            self._check_chunks(data, body_b)
        if not self._ready:
            return _NOTHING
        ready, self._ready = self._ready, []
        if not ready[-1].keep_alive:
            self._recognised.stop()
        elif is_first and self.state == BETWEEN and len(ready) == 1:
            message = ready[0]
            if not message.http10 and message.upload is None and message.head is not None:
                self._recognised.learn(data, message.head, self._forward)
        return ready

    def _kept_out(self, head: Head | None, fault: Fault) -> Message:
        self._head = head
        self._target = b"" if head is None else head.target
        return self.refuse(fault)

    def refuse(self, fault: Fault) -> Message:
        """A request that cannot be read: the last message."""
        self.close()
        head = self._head if fault.kind is Kind.UNAUTHORIZED else None
        return Message(head, b"", False, False, fault, target=self._target)

    def close(self) -> None:
        """Read nothing more, and give back what the unfinished request holds. The parser knows us by our methods: a
        cycle, which only a full collection would find."""
        self.state = ENDED
        self._parser = None
        self._body = []
        self._headers = []
        self._terms.budget.give(self._charge_b)
        self._charge_b = 0
        if self.upload is not None:
            self.upload.cut()
            self.upload = None

    # --- httptools callbacks

    def on_message_begin(self) -> None:
        self.state = IN_HEAD
        self._headers = []
        self._body = []
        self.body_b = self._head_b = self._barren_b = self._trailers = 0
        self._target = b""
        self._head = None

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._head_b += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        size = len(name) + len(value)
        self._head_b += size
        limits = self._terms.limits.head
        if self._head is not None:  # a trailer: never merged
            self._trailers += 1
            if self._trailers > limits.count or self._head_b > limits.total:
                raise FaultError(downstream(Kind.HEAD_TOO_LARGE, "The trailers are too large."))
            return
        if size > limits.field or self._head_b > limits.total:
            raise FaultError(downstream(Kind.HEAD_TOO_LARGE, "A request header, or all together, is too large."))
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser, terms = self._parser, self._terms
        assert parser is not None
        if parser.should_upgrade() and parser.get_method() != b"CONNECT":
            self._check_upgrade(parser.get_method())
            self._upgrade = True
            return
        self._head = head = self._checked_head(parser)
        self._forward = head.forward
        if terms.gate is not None:
            terms.gate(head, self.peer)
        length = self._content_length()
        self._chunked = length < 0
        if length == 0:
            return
        if terms.uploads is not None and terms.uploads(head):
            self._begin_upload(parser, length)
            return
        if length > terms.limits.body.size:
            raise FaultError(self._too_large())
        if length > 0:
            self._charge(COPIES * length)
        self.state = IN_BODY
        self.body_start = terms.clock()
        self.wants_continue = head.expects_continue

    def on_body(self, data: bytes) -> None:
        if self.upload is not None:
            self.body_b += len(data)
            self.upload.feed(data)
            return
        self._body.append(data)
        self.body_b += len(data)
        if self._chunked:
            if self.body_b > self._terms.limits.body.size:
                raise FaultError(self._too_large())
            if COPIES * self.body_b > self._charge_b:
                self._charge(COPIES * max(len(data), _STEP_B))

    def on_message_complete(self) -> None:
        if self._upgrade:
            return
        if self._chunked and framing.is_overweight(self._raw_b, self.body_b):
            raise FaultError(_overweight())
        parser = self._parser
        assert parser is not None
        if self.upload is not None:
            self.upload.end()
            self.upload = None
            self.state = BETWEEN
            self._raw_b = self.body_b = 0
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self.state = BETWEEN
        self._raw_b = self.body_b = 0
        self.wants_continue = False
        charge_b, self._charge_b = self._charge_b, 0
        self._ready.append(Message(self._head, body, parser.should_keep_alive(), self._http10, None, charge_b))

    # --- inside

    def _begin_upload(self, parser: httptools.HttpRequestParser, length_b: int) -> None:
        """Its message is handed over now; its body follows."""
        assert self._head is not None
        self.state = IN_BODY
        self.wants_continue = self._head.expects_continue
        self.upload = Upload(length_b)
        self._ready.append(Message(self._head, b"", parser.should_keep_alive(), self._http10, upload=self.upload))

    def _checked_head(self, parser: httptools.HttpRequestParser) -> Head:
        terms, version = self._terms, parser.get_http_version()
        self._http10 = version == "1.0"
        return check_head(
            parser.get_method(),
            self._target,
            version,
            self._headers,
            limits=terms.limits.head,
            policy=terms.policy,
            new_id=terms.new_id,
        )

    def _take_handshake(self, parser: httptools.HttpRequestParser) -> None:
        """Of a tunnel, which whoever answers may make: it comes as the fault that it is where nobody does."""
        head = self._checked_head(parser)
        websocket.with_shown_key(head)
        if self._terms.gate is not None:
            self._head = head  # whose API is asked, should it not come in
            self._terms.gate(head, self.peer)
        if self._content_length():
            raise FaultError(downstream(Kind.MALFORMED, "A WebSocket handshake has no body."))
        self._head = head

    def _refuse(self, fault: Fault) -> None:
        self._ready.append(self.refuse(fault))

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(parser, data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, FaultError):
                raise
            self._refuse(error.__context__.fault)
        except httptools.HttpParserInvalidMethodError:
            self._refuse(downstream(Kind.METHOD if self._target else Kind.MALFORMED, "This method is not known."))
        except httptools.HttpParserError:
            self._refuse(downstream(Kind.MALFORMED, "The request is not well-formed HTTP/1.1."))

    def _check_upgrade(self, method: bytes) -> None:
        """Of a handshake that is ignored the client learns only that the route failed: whoever tries WebSocket first
        shall know at once that there is none. (RFC 9110 §7.8: HTTP/1.0 has no Upgrade.)"""
        assert self._parser is not None
        if method != b"GET" or self._parser.get_http_version() == "1.0":
            return
        if not websocket.is_upgrade(self._headers):
            return
        if not self._terms.tunnels or not websocket.is_asked_for(self._target):
            raise FaultError(no_websocket())
        self._take_handshake(self._parser)

    def _ignore_upgrade(self, parser: httptools.HttpRequestParser, rest: bytes) -> None:
        """RFC 9110 §7.8: a server may ignore `Upgrade`. llhttp stops there, so the head is read again without it."""
        method = parser.get_method()
        if not self._upgrade or method == b"CONNECT":
            self._refuse(downstream(Kind.METHOD, "CONNECT is not supported."))
            return
        if self._head is not None:
            handshake, self._head = self._head, None
            self.close()
            self._ready.append(Message(handshake, rest, False, False, no_websocket(), target=self._target))
            return
        kept = [h for h in self._headers if h[0].lower() not in (b"upgrade", b"connection", b"http2-settings")]
        lines = b"".join(b"%b: %b\r\n" % header for header in kept)
        version = parser.get_http_version().encode()
        self._upgrade = False
        self._parser = httptools.HttpRequestParser(self)
        self._parse(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self._target, version, lines) + rest)

    def _content_length(self) -> int:
        """Bytes announced; -1 for a chunked body, 0 for none."""
        for name, value in self._headers:
            lower = name.lower()
            if lower == b"content-length":
                return int(value)
            if lower == b"transfer-encoding":
                return -1
        return 0

    def _charge(self, size_b: int) -> None:
        self._terms.budget.take(size_b)
        self._charge_b += size_b

    def _check_open_head(self) -> None:
        """Of a line that has not ended the parser says nothing."""
        limits = self._terms.limits.head
        if self._raw_b > limits.target + limits.total + _SEPARATORS_B * limits.count:
            self._refuse(downstream(Kind.HEAD_TOO_LARGE, "The request head is too large."))

    def _check_chunks(self, data: bytes, body_b: int) -> None:
        self._barren_b = self._barren_b + len(data) if self.body_b == body_b else 0
        if framing.is_overweight(self._raw_b, self.body_b):
            self._refuse(_overweight())
        elif self._barren_b > framing.ALLOWANCE_B:
            self._refuse(downstream(Kind.HEAD_TOO_LARGE, "A chunk extension or the trailers are too large."))
        elif self.body_b < len(data) and framing.first_chunk_b(data) > self._terms.limits.body.size:
            self._refuse(self._too_large())

    def _too_large(self) -> Fault:
        limit_b = self._terms.limits.body.size
        return downstream(Kind.BODY_TOO_LARGE, f"The body is larger than {limit_b} bytes.")


def no_websocket() -> Fault:
    """What whoever tries one is told at once."""
    text = "There is no WebSocket here; send the request as plain HTTP POST (streams are server-sent events)."
    return downstream(Kind.UPGRADE, text)


def _overweight() -> Fault:
    return downstream(Kind.MALFORMED, "The body's chunk framing outweighs the body.")
