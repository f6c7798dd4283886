"""What this process is at one moment: connections, memory, its event loop, what it runs.

Owns names and help texts of these; the numbers are read when somebody looks.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from prometheus_client.metrics_core import Metric

from proxy import __version__
from proxy.model.batch import BatchesView
from proxy.model.cache import CacheView
from proxy.model.histogram import Histogram
from proxy.model.realtime import RealtimeView
from proxy.model.stored import OwnersView
from proxy.obs.config_metrics import ConfigState
from proxy.obs.families import Family, Histograms, counter, counters, gauge, gauges
from proxy.obs.slo.book import SloStatus
from proxy.obs.telemetry import Exports

NO_COUNTS: Mapping[str, int] = MappingProxyType({})
NO_PAIRS: Mapping[tuple[str, str], int] = MappingProxyType({})
NO_TIMES: Mapping[str, Histogram] = MappingProxyType({})
NO_WORDS: Mapping[str, str] = MappingProxyType({})


class Gauges(NamedTuple):
    """Live numbers read at scrape time."""

    client_connections: int
    refused_connections: int
    upstream_connections: dict[str, int]
    log_lines_lost: dict[str, int]
    """By log."""
    bodies_b: int = 0
    """Memory that bodies take which are being read, sent or repeated; of…"""
    bodies_most_b: int = 0
    """…so much at most…"""
    bodies_refused: int = 0
    """…and requests refused since it was spent."""
    cache: CacheView | None = None
    """None: no answers are kept."""
    lines_stripped: Mapping[str, int] = NO_COUNTS
    """Lines taken out of prompts, by class."""
    messages_cut: Mapping[str, int] = NO_COUNTS
    """Messages cut from conversations, by class."""
    prompt_assembly: Mapping[str, Histogram] = NO_TIMES
    """Seconds in which named prompts were put together."""
    warmed: Mapping[tuple[str, str], int] = NO_PAIRS
    """Requests that warmed caches, by backend and result."""
    short_first: Mapping[str, int] = NO_COUNTS
    """Short answers, requests for more of one, and for one that there is not."""
    tasks: int = 0
    """Of the event loop."""
    loop_lag: Histogram | None = None
    """How late its timers were, seconds; None: nobody looked."""
    gpu_memory_b: Mapping[str, int] = NO_COUNTS
    """By backend, where the configuration says it."""
    config: Mapping[str, str] = NO_WORDS
    """What runs here, by the label that says so."""
    slos: Sequence[SloStatus] = ()
    """Service level objectives."""
    config_state: ConfigState | None = None
    """None: it is not a file's, and cannot change."""
    fields_changed: Mapping[tuple[str, str], int] = NO_PAIRS
    """Requests of which fields were changed, by backend and how."""
    telemetry: Exports | None = None
    """None: nothing is sent to a collector."""
    memory_limit_b: int = 0
    """What the process may use; 0: nobody knows."""
    certificate_ends: float | None = None
    """Of TLS towards clients, seconds since 1970; None: there is none, or nobody knows."""
    owners: OwnersView | None = None
    """Who has what engines keep; None: nobody remembers."""
    batches: BatchesView | None = None
    """Files and batches; None: there is no store."""
    realtime: RealtimeView | None = None
    """WebSockets."""


def connection_families(now: Gauges) -> Iterator[Metric]:
    """Connections and what they hold."""
    yield gauge("tidegate_client_connections", "Open client connections.", now.client_connections)
    yield counter("tidegate_refused_connections", "Client connections refused at the limit.", now.refused_connections)
    yield gauges(
        "tidegate_upstream_connections",
        "Open connections to a backend, idle ones included.",
        ("backend",),
        [((backend,), float(count)) for backend, count in now.upstream_connections.items()],
    )
    yield gauge("tidegate_body_memory_bytes", "Memory taken by request bodies in progress.", now.bodies_b)
    text = "What they may take at most (limits.memory.bodies)."
    yield gauge("tidegate_body_memory_limit_bytes", text, now.bodies_most_b)
    text = "Requests refused since that memory was spent, or too little."
    yield counter("tidegate_bodies_refused", text, now.bodies_refused)


def edit_families(now: Gauges) -> Iterator[Metric]:
    """What was done to prompts, and for them."""
    yield counters(
        "tidegate_prompt_lines_stripped",
        "Lines taken out of prompts (prompts.strip of the class).",
        ("class",),
        [((name,), float(lines)) for name, lines in now.lines_stripped.items()],
    )
    yield counters(
        "tidegate_prompt_messages_cut",
        "Messages cut from conversations over their budget (prompts.history).",
        ("class",),
        [((name,), float(count)) for name, count in now.messages_cut.items()],
    )
    yield counters(
        "tidegate_short_first",
        "Short answers given first, requests to expand one, and those for an answer that is not kept (unknown).",
        ("what",),
        [((what,), float(count)) for what, count in now.short_first.items()],
    )
    yield counters(
        "tidegate_prompts_warmed",
        "Requests for named prompts to engines that were about to take traffic (warm), by result (ok, failed).",
        ("backend", "result"),
        [(pair, float(count)) for pair, count in now.warmed.items()],
    )
    yield counters(
        "tidegate_request_fields_changed",
        "Requests of which fields were changed for a backend (parameters), by change (set, default, drop).",
        ("backend", "change"),
        [(pair, float(count)) for pair, count in now.fields_changed.items()],
    )


def process_families(now: Gauges) -> Iterator[Family]:
    """The process, but for what the library reads of it."""
    yield counters(
        "tidegate_log_lines_dropped",
        "Log lines that were lost: a log (access, operational, csv) was not read, full or gone.",
        ("log",),
        [((log,), lost) for log, lost in now.log_lines_lost.items()],
    )
    yield gauges(
        "tidegate_backend_gpu_memory_bytes",
        "GPU memory of a backend, where the configuration tells it (kv_cache.memory).",
        ("backend",),
        [((backend,), float(memory_b)) for backend, memory_b in now.gpu_memory_b.items()],
    )
    yield gauges(
        "tidegate_memory_limit_bytes",
        "What this process may use: limits.memory.limit, else the container's or the machine's memory.",
        (),
        [((), float(now.memory_limit_b))] if now.memory_limit_b else [],
    )
    yield gauges(
        "tidegate_certificate_ends_timestamp_seconds",
        "When the certificate that clients are shown is valid no more, seconds since 1970 (tls.cert).",
        (),
        [] if now.certificate_ends is None else [((), now.certificate_ends)],
    )
    yield gauge("tidegate_tasks", "Tasks of the event loop.", now.tasks)
    yield Histograms(
        "tidegate_loop_lag_seconds",
        "How late the event loop's timer was that goes off ten times a second while there are connections.",
        (),
        [] if now.loop_lag is None else [((), now.loop_lag)],
    )
    text = "Always 1; the version is in the label."
    yield gauges("tidegate_build_info", text, ("version",), [((__version__,), 1.0)])
    yield gauges(
        "tidegate_config_info",
        "Always 1; what runs here: the policy, the admission mode, and the first 8 hex digits of the SHA-256 of the "
        "configuration.",
        tuple(now.config),
        [(tuple(now.config.values()), 1.0)] if now.config else [],
    )
