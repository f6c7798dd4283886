"""What can go wrong with a request, and whose fault it is.

    Fault
    ├── downstream   the client: malformed, too_large, too_slow, unsupported, invalid, not_found, left, …
    ├── upstream     the backend: connect, tls, reset, first_byte_timeout, idle_timeout, stalled, cut, aborted,
    │                nonsense, busy, misconfigured, cannot, …
    └── internal     ourselves: queue_full, quota, hold_timeout, no_backend, draining, memory, storage, loop, bug

Owns the closed set of kinds. Knows nothing of HTTP: `wire.errors` alone maps a kind to a status and a body.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Source(StrEnum):
    """Whose fault it is."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    INTERNAL = "internal"


class Retry(StrEnum):
    """Whether the same request may be sent to another backend."""

    NEVER = "never"
    SAFE = "safe"
    """Nothing was done with it (connect failed, the engine refused), or doing it twice harms nobody."""
    REUSED_CONNECTION_ONLY = "reused_connection_only"
    """The connection died before the first byte: safe when it was a pooled one, which the backend may have closed."""


class Blame(StrEnum):
    """Whether a fault counts against the backend's health."""

    CERTAIN = "certain"
    LIKELY = "likely"
    """Unless another backend says the same of the same body."""
    UNPROVEN = "unproven"
    """Only when another backend serves the same body."""


class Kind(StrEnum):
    """What happened. Closed: also a metric label."""

    # downstream
    MALFORMED = "malformed"
    HEAD_TOO_LARGE = "head_too_large"
    TARGET_TOO_LONG = "target_too_long"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TOO_SLOW = "body_too_slow"
    TRANSFER_CODING = "transfer_coding"
    MEDIA_TYPE = "media_type"
    CONTENT_CODING = "content_coding"
    EXPECTATION = "expectation"
    UPGRADE = "upgrade"
    INVALID = "invalid"
    UNKNOWN_ROUTE = "unknown_route"
    METHOD = "method"
    MODEL_NOT_FOUND = "model_not_found"
    ORIGIN = "origin"
    """A page of another origin may not."""
    UNAUTHORIZED = "unauthorized"
    """It shows no API key that is anybody's."""
    LEFT = "left"
    WRITE_STALL = "write_stall"
    NOT_KEPT = "not_kept"
    """Asked for from memory only, and it is not there."""
    ELSEWHERE = "elsewhere"
    """Files and batches are kept by another proxy."""
    # upstream
    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    """Its certificate is not trusted, or TLS is not spoken there: waiting does not help."""
    RESET = "reset"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    STALLED = "stalled"
    """A stream fell silent and was given up for another backend; that one may only be busy."""
    CUT = "cut"
    ABORTED = "aborted"
    """The engine says that it gave the answer up: it was paused, put to sleep, or told to."""
    NONSENSE = "nonsense"
    REDIRECT = "redirect"
    BUSY = "busy"
    """Full, or not ready: it has not begun."""
    MISCONFIGURED = "misconfigured"
    """It refuses the operator's key, or lacks a model that it lists."""
    CANNOT = "cannot"
    """It lacks what this request needs: the endpoint, a feature, a context so long."""
    ERROR_STATUS = "error_status"
    STREAM_ERROR = "stream_error"
    # internal
    EVENT_TOO_LARGE = "event_too_large"
    """More than our own limit: nobody's fault but the configuration's."""
    LOOP = "loop"
    """The request came back to us through a backend that leads here."""
    QUEUE_FULL = "queue_full"
    QUOTA = "quota"
    HOLD_TIMEOUT = "hold_timeout"
    NO_BACKEND = "no_backend"
    CONNECTIONS = "connections"
    MEMORY = "memory"
    STORAGE = "storage"
    """No room in the store of files and batches."""
    DRAINING = "draining"
    BUG = "bug"


NOT_REACHED: Final = frozenset({Kind.CONNECT, Kind.CONNECT_TIMEOUT, Kind.TLS})
"""Nothing was sent: no attempt at all."""
CONTEXT_TOO_LONG: Final = "context_length_exceeded"
"""The code, as OpenAI's, of a prompt that does not fit."""
OUT_OF_CREDIT: Final = "insufficient_quota"
"""The code, as OpenAI's, of a budget that is used up: to ask again soon is of no use."""
DECLINED: Final = frozenset({Kind.BUSY, Kind.MISCONFIGURED, Kind.CANNOT})
"""The engine said no before it did any work."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that went wrong.

    `message` says what happened, which backend, whose fault and what to do, and holds at most 64 characters of input.
    `param` and `code` are the fields of the OpenAI error object; `retry_after_s` is advice to the client, seconds.
    """

    source: Source
    kind: Kind
    message: str
    retry: Retry = Retry.NEVER
    param: str | None = None
    code: str | None = None
    retry_after_s: float | None = None
    blame: Blame = Blame.CERTAIN
    """Of a fault of a backend."""


class FaultError(Exception):
    """Carries a Fault up the stack."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def downstream(kind: Kind, message: str, *, param: str | None = None, code: str | None = None) -> Fault:
    """A fault of the client; never retried."""
    return Fault(Source.DOWNSTREAM, kind, message, param=param, code=code)


def upstream(
    kind: Kind,
    message: str,
    retry: Retry = Retry.NEVER,
    retry_after_s: float | None = None,
    blame: Blame = Blame.CERTAIN,
) -> Fault:
    """A fault of a backend."""
    return Fault(Source.UPSTREAM, kind, message, retry, retry_after_s=retry_after_s, blame=blame)


def internal(kind: Kind, message: str, retry_after_s: float | None = None) -> Fault:
    """A refusal or a bug of our own; never retried by us."""
    return Fault(Source.INTERNAL, kind, message, retry_after_s=retry_after_s)
