"""One pure check of a request head, and the allow-list of what of it reaches a backend.

llhttp (in httptools) refuses what is not HTTP; this module refuses what is HTTP but ambiguous, or not for us:
versions, fragments, transfer codings, hosts, duplicates, sizes. Owns no bytes beyond the head.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from proxy.model.faults import FaultError, Kind, downstream
from proxy.model.limits import HeadLimits

RawHeaders = Sequence[tuple[bytes, bytes]]

_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_SINGLE: Final = frozenset(
    {b"host", b"authorization", b"content-type", b"content-encoding", b"transfer-encoding", b"expect"}
)
_FORWARD: Final = frozenset(
    {
        b"accept",
        b"accept-language",
        b"anthropic-beta",
        b"anthropic-version",
        b"authorization",
        b"baggage",
        b"cache-control",
        b"content-type",
        b"endpoint-load-metrics-format",
        b"idempotency-key",
        b"session-id",  # Codex's
        b"thread-id",
        b"tracestate",
        b"traceparent",
        b"user-agent",
        b"via",  # ours is put behind it: `hops`
        b"x-api-key",
        b"x-claude-code-agent-id",
        b"x-claude-code-session-id",
        b"x-client-request-id",
        b"x-correlation-id",
        b"x-dynamo-session-id",
        b"x-session-affinity",
        b"x-session-id",
    }
)
_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key"})
_PLAIN_CONNECTION: Final = frozenset({b"keep-alive", b"close"})
"""What `Connection` nearly always says; names no header."""
_FORWARD_PREFIXES: Final[tuple[bytes, ...]] = (b"openai-", b"x-stainless-")
NEVER_FORWARDED: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"cookie",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-conversation-id",  # llama.cpp: makes a stream survive its client
        b"x-request-id",  # sent by us, once
    }
)
"""Hop-by-hop, framing, or harmful: not even the configuration can let these pass."""

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}\Z")
_SECONDS: Final = re.compile(rb"[0-9]{1,7}(?:\.[0-9]{1,6})?\Z")


@dataclass(slots=True, init=False)
class Head:
    """A request head that passed the check. Header names keep the client's spelling."""

    method: str
    target: bytes
    host: bytes
    request_id: str
    forward: list[tuple[bytes, bytes]]
    """What a backend may see: allow-listed, ASCII, not named by `Connection`."""
    content_type: bytes
    content_encoding: bytes
    expects_continue: bool
    origin: bytes
    client_attempt: int
    client_timeout_s: float | None
    traffic_class: str
    """`x-tidegate-class`; empty: not asked for."""
    fields: Mapping[bytes, bytes]
    """Every header by its lower-case name, keys and cookies too: not to be shown."""
    tenant: str = ""
    """The name of whoever it belongs to; empty: nobody whom the configuration names, or nobody has looked."""
    pin: str = ""
    """Name of the only backend that may answer; no client can say so. Empty: any."""
    due: float | None = None
    """Of a line of a batch, which no client can say: bulk, whatever a rule wants, of use until then (monotonic
    seconds)."""
    yields_until: float | None = None
    """Of such a line: until then it goes only where nobody feels it (monotonic seconds)."""

    def __init__(
        self,
        *,
        method: str,
        target: bytes,
        host: bytes,
        request_id: str,
        forward: list[tuple[bytes, bytes]],
        content_type: bytes,
        content_encoding: bytes,
        expects_continue: bool,
        origin: bytes,
        client_attempt: int,
        client_timeout_s: float | None,
        traffic_class: str,
        fields: Mapping[bytes, bytes],
        tenant: str = "",
        pin: str = "",
        due: float | None = None,
        yields_until: float | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.host = host
        self.request_id = request_id
        self.forward = forward
        self.content_type = content_type
        self.content_encoding = content_encoding
        self.expects_continue = expects_continue
        self.origin = origin
        self.client_attempt = client_attempt
        self.client_timeout_s = client_timeout_s
        self.traffic_class = traffic_class
        self.fields = fields
        self.tenant = tenant
        self.pin = pin
        self.due = due
        self.yields_until = yields_until


class HeaderPolicy:
    """The allow-list, with what the operator added (`headers.forward`: exact names, or a prefix ending in `*`)."""

    def __init__(self, extra: Sequence[str] = ()) -> None:
        names = [name.lower().encode() for name in extra]
        self._exact = (_FORWARD | {name for name in names if not name.endswith(b"*")}) - NEVER_FORWARDED
        self._prefixes = _FORWARD_PREFIXES + tuple(name[:-1] for name in names if name.endswith(b"*"))

    def allows(self, name: bytes) -> bool:
        """Whether a header of this lower-case name may reach a backend."""
        if name in self._exact:
            return True
        return name.startswith(self._prefixes) and name not in NEVER_FORWARDED


def check_head(
    method: bytes,
    target: bytes,
    version: str,
    headers: RawHeaders,
    *,
    limits: HeadLimits,
    policy: HeaderPolicy,
    new_id: Callable[[], str],
) -> Head:
    """The Head of a request, or FaultError. After one the connection must be closed: framing is in doubt."""
    if version != "1.1" and version != "1.0":
        raise _refused(Kind.MALFORMED, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    if method not in _METHODS:
        raise _refused(Kind.METHOD, "This method is not supported.")
    _check_target(target, limits)
    if len(headers) > limits.count:
        raise _refused(Kind.HEAD_TOO_LARGE, f"More than {limits.count} header fields.")
    seen: dict[bytes, bytes] = {}
    forward: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        lower = name.lower()
        if lower in seen:
            if lower in _SINGLE:
                raise _refused(Kind.MALFORMED, f"More than one {lower.decode()} header.")
            seen[lower] += b"," + value  # RFC 9110 §5.3: lines of one name are one list
        else:
            seen[lower] = value
        if lower.find(b"_") >= 0 and lower.replace(b"_", b"-") in NEVER_FORWARDED:
            raise _refused(Kind.MALFORMED, "A header name with an underscore imitates a framing header.")
        if policy.allows(lower) and value.isascii():
            forward.append((name, value))
    if (connection := seen.get(b"connection")) and connection.lower() not in _PLAIN_CONNECTION:
        forward = _without_named(forward, connection)
    if b"transfer-encoding" in seen:
        _check_transfer_encoding(seen[b"transfer-encoding"], version)
    host = _checked_host(seen.get(b"host"), version)
    request_id = seen.get(b"x-request-id", b"")
    return Head(
        method=method.decode(),
        target=target,
        host=host,
        request_id=request_id.decode() if _REQUEST_ID.match(request_id) else new_id(),
        forward=forward,
        content_type=seen.get(b"content-type", b""),
        content_encoding=seen.get(b"content-encoding", b"").strip().lower(),
        expects_continue=_expects_continue(seen.get(b"expect")),
        origin=seen.get(b"origin", b""),
        client_attempt=int(_seconds(seen.get(b"x-stainless-retry-count")) or 0),
        client_timeout_s=_seconds(seen.get(b"x-stainless-read-timeout") or seen.get(b"x-stainless-timeout")),
        traffic_class=seen.get(b"x-tidegate-class", b"")[:64].decode("ascii", "replace").strip(),
        fields=seen,
    )


def _refused(kind: Kind, message: str) -> FaultError:
    return FaultError(downstream(kind, message))


def _check_target(target: bytes, limits: HeadLimits) -> None:
    if len(target) > limits.target:
        raise _refused(Kind.TARGET_TOO_LONG, f"The request target is longer than {limits.target} bytes.")
    if target.find(b"#") >= 0:
        raise _refused(Kind.MALFORMED, "A request target has no fragment.")


def _without_named(forward: list[tuple[bytes, bytes]], connection: bytes) -> list[tuple[bytes, bytes]]:
    """RFC 9110 §7.6.1: what `Connection` names ends here. Credentials are end-to-end and cannot be named away."""
    named = {token.strip().lower() for token in connection.split(b",")} - _CREDENTIALS
    return [(name, value) for name, value in forward if name.lower() not in named]


def _check_transfer_encoding(value: bytes, version: str) -> None:
    if version == "1.0":
        raise _refused(Kind.MALFORMED, "HTTP/1.0 has no Transfer-Encoding.")
    if value.strip().lower() == b"chunked":
        return
    codings = [coding.strip() for coding in value.split(b",")]
    if all(codings):
        raise _refused(Kind.TRANSFER_CODING, "Only the chunked transfer coding is supported.")
    raise _refused(Kind.MALFORMED, "Malformed Transfer-Encoding.")


def _checked_host(host: bytes | None, version: str) -> bytes:
    if host is None:
        if version == "1.1":
            raise _refused(Kind.MALFORMED, "HTTP/1.1 requires a Host header.")
        return b""
    if not _is_host(host):
        raise _refused(Kind.MALFORMED, "The Host header is not a host name with an optional port.")
    return host


@lru_cache(maxsize=256)
def _is_host(host: bytes) -> bool:
    return _HOST.match(host) is not None


def _expects_continue(value: bytes | None) -> bool:
    if value is None:
        return False
    if value.strip().lower() != b"100-continue":
        raise _refused(Kind.EXPECTATION, "Only `Expect: 100-continue` is understood.")
    return True


def _seconds(value: bytes | None) -> float | None:
    return float(value) if value and _SECONDS.match(value) else None
