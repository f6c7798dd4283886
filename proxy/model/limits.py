"""Every limit of the proxy: a name, a unit, a default and its reason, in one place.

Plain values: the configuration reads them from a file, and no default is written a second time anywhere else.
"""

from dataclasses import dataclass
from typing import Annotated

from proxy.model.bounds import Bounds, Count, Duration, Share, Size
from proxy.model.units import KIB, MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """The request line and header block of one request."""

    total: Size = 32 * KIB
    """All header fields of one request together; 431 above."""
    field: Size = 16 * KIB
    """One header field, name and value; 431 above. SDKs send fields above 8 KiB."""
    count: Count = 100
    """Number of header fields; 431 above."""
    target: Size = 8 * KIB
    """The request target (path and query); 414 above."""
    timeout: Duration = 10.0
    """Whole header block, from the accept or from the first byte of a next request; then close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """The body of one request."""

    size: Size = 32 * MIB
    """413 above, before reading when Content-Length says so. Images travel in base64, so bodies are large."""
    stall: Duration = 10.0
    """Longest pause between two reads of a body; then 408."""
    min_rate: Size = 1 * KIB
    """Slowest average upload per second, after `stall`; then 408."""
    timeout: Duration | None = None
    """Whole body; then 408. A steady upload of 12 MB at 1.3 Mbit/s takes 75 s. null: as long as it keeps `stall` and
    `min_rate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterLimits:
    """Request fields whose size an engine pays for. Raise them where your engine allows more."""

    n: Count = 128
    """Choices per request."""
    top_logprobs: Annotated[int, Bounds(ge=0)] = 20
    """Alternatives per token."""
    stop: Count = 64
    """Stop sequences."""
    tools: Count = 512
    """Tool definitions."""
    messages: Count = 10_000
    """Chat messages."""
    values: Count = 3_000_000
    """What the JSON of a body may count before it is parsed; 400 above. A value counts 2, 5 if it is no small number,
    a string 8 more, an array or object 16 more, 64 bytes of text 1, as far as they are parsed (insides of long strings
    and lists are not). 30 KiB of gzip can hold 10 million empty arrays, which take 1 GB of memory; 2 million token ids
    count 2 million, 10,000 messages 0.8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Client connections."""

    max: Count = 4096
    """Open client connections (at most half of the file descriptors this process may open); more are refused fast."""
    idle: Duration = 75.0
    """Keep-alive between requests: above the usual 60 s of load balancers in front, which otherwise see resets."""
    write_stall: Duration = 30.0
    """A client that takes no byte for so long is gone (`CS`); its upstream is cancelled."""
    buffer_high: Size = 64 * KIB
    """Per direction: reading the other side stops above this."""
    buffer_low: Size = 32 * KIB
    """Per direction: reading the other side goes on below this."""
    pipeline: Count = 32
    """Requests of one connection that may wait behind the one being answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLimits:
    """What a backend may take its time for."""

    connect: Duration = 2.0
    """TCP and TLS; then the next attempt, else 502."""
    first_byte: Duration | None = None
    """From the request to the whole head of its answer (a model may be loading or think), and longest silence inside
    one in one piece, and inside a stream before the first token that is not thought; then 504, never another attempt:
    the engine may be at work. Keep-alive comments between two events must end as soon. null: 10 minutes, as long as
    the SDKs wait, or as long as the client says that it waits (`x-stainless-timeout`, `x-stainless-read-timeout`)."""
    idle: Duration = 60.0
    """Longest silence inside a stream after its first token of an answer; then an SSE error event (engines die without
    closing). Framing that carries nothing is silence. In a thought between two texts, and where tools may be called
    (engines write a call when it is whole, perhaps minutes later), silence may last as long as `first_byte`."""
    keepalive: Duration = 4.0
    """Idle time of a pooled connection: below the 5.0 s after which vLLM and llama.cpp close theirs."""
    event: Size = 16 * MIB
    """One SSE event; cut with an error event above, which accuses no backend. A picture in base64 is 3 MB and more."""
    events: Size = 256 * MIB
    """All unfinished SSE events above 1 MiB together; one that needs more ends its stream with an error event."""
    answer_buffer: Size = 1 * MIB
    """A whole (non-stream) answer up to this size is held back until it is complete, so that a cut one becomes a
    clean error; a larger one is passed on as it comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLimits:
    """What happens before the process runs out of memory."""

    limit: Size | None = None
    """Memory this process may use. null: the container's limit. Its address space (`ulimit -v`) and the machine's
    memory bound it too."""
    bodies: Share = 0.5
    """Share of `limit` that all request bodies may take together, from before they are read until their answers are
    complete; what does not fit is refused (503) before it is read. A body counts twice: as it came, as it is sent."""
    close_idle: Share = 0.85
    """Above this share of `limit` idle client connections are closed."""
    shed_bulk: Share = 0.92
    """Above this share bulk is refused (503): what comes and what waits here."""
    shed: Share = 0.96
    """Above this share every new request is refused (503)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLimits:
    """Which backend has what it keeps for later: responses and conversations, by their ids. `state` keeps it over a
    restart, `cache.remote` shares it with other proxies."""

    size: Size = 32 * MIB
    """All ids together, 100,000 of them; of more, the longest unused of the tenant that has most are forgotten."""
    keep: Duration = 24 * 3600.0
    """An id that nobody asked for in so long is forgotten; then 404."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """Attempts on another backend before the client has seen a byte."""

    attempts: Annotated[int, Bounds(ge=1, le=10)] = 3
    """Attempts per request, the first included."""
    budget_ratio: Annotated[float, Bounds(ge=0, le=1)] = 0.1
    """Retries allowed as a share of the requests of the last 10 s, so that retries cannot make an overload worse."""
    budget_min_per_s: Annotated[float, Bounds(ge=0)] = 1.0
    """Retries per second allowed on top, for low traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSettings:
    """Jobs that wait here because every capable backend has all its permits out."""

    per_in_flight: Annotated[float, Bounds(ge=0)] = 2.0
    """Held jobs per job in flight; more are shed (429). Five times as many where each waits for no longer than it may
    and still keep what was promised to it."""
    min_jobs: Annotated[int, Bounds(ge=0)] = 16
    """Held jobs always allowed, however little is in flight."""
    bytes: Size = 256 * MIB
    """Bodies of all held jobs together; more are shed (429)."""
    max_wait: Duration = 30.0
    """Longest hold; then 503 with Retry-After. The client's own deadline counts when it is sooner."""
    starting: Duration = 0.0
    """The same while every capable backend is away, as one that an autoscaler starts from zero; where `max_wait` is
    longer, that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """Ejection by what traffic shows, return by probe. Words as in Envoy, linkerd and HAProxy."""

    consecutive_failures: Count = 5
    """Failures in a row that eject."""
    failure_ratio: Annotated[float, Bounds(gt=0, le=1)] = 0.5
    """Share of failures among the last attempts that ejects…"""
    min_samples: Count = 20
    """…when at least so many ended in the last `window`."""
    window: Duration = 10.0
    """Attempts older than this no longer count for `failure_ratio`."""
    eject: Duration = 5.0
    """First ejection; the n-th in a row lasts n times as long…"""
    eject_max: Duration = 60.0
    """…up to this."""
    panic_threshold: Annotated[float, Bounds(ge=0, le=1)] = 0.5
    """Below this share of healthy backends for a model nothing is ejected: all of them are tried."""
    slow_start: Duration = 10.0
    """After a return, the share of traffic grows from a tenth to the full share over this time."""
    probe_interval: Duration = 5.0
    """Pause between two active probes (model list) of one backend. llama.cpp frees abandoned work late when it is
    polled more than once a second: do not go below 2s."""
    probe_timeout: Duration = 2.0
    """An active probe that takes longer has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainSettings:
    """SIGTERM: readiness off, wait, stop accepting, finish, end."""

    readiness: Duration = 2.0
    """Between readiness off and closing the listener, so that load balancers notice."""
    streams: Duration = 30.0
    """Running requests may finish for so long; then an SSE error event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All bounds on the data path."""

    head: HeadLimits = HeadLimits()
    body: BodyLimits = BodyLimits()
    parameters: ParameterLimits = ParameterLimits()
    connections: ConnectionLimits = ConnectionLimits()
    upstream: UpstreamLimits = UpstreamLimits()
    memory: MemoryLimits = MemoryLimits()
    stored: StoredLimits = StoredLimits()
