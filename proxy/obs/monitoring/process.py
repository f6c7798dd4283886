"""The dashboard of the proxy's own process: its event loop, its memory, its connections, its configuration."""

from typing import Final

from proxy.obs.monitoring.panels import Dashboard, Row, graph, states
from proxy.obs.monitoring.queries import Queries

_OF: Final = Queries("instance")
_OVER: Final = "[5m]"


def _process() -> Row:
    return Row(
        "The process",
        (
            graph(
                "Lag of the event loop",
                "s",
                "How late timers go off. Above 0.1 s everything waits for the processor: give it a core of its own, "
                "or run one more proxy.",
                (_OF.quantile(0.5, "tidegate_loop_lag_seconds"), "p50"),
                (_OF.quantile(0.99, "tidegate_loop_lag_seconds"), "p99"),
            ),
            graph(
                "Memory",
                "bytes",
                "Of the process against its guard: at 85 % idle connections are closed, at 92 % bulk is refused, at "
                "96 % everything. Bodies have a bound of their own.",
                (_OF.now("process_resident_memory_bytes", ("instance",)), "used, {{instance}}"),
                (_OF.now("tidegate_memory_limit_bytes", ("instance",)), "guard, {{instance}}"),
                (_OF.now("tidegate_body_memory_bytes"), "bodies"),
                (_OF.now("tidegate_body_memory_limit_bytes"), "bodies, bound"),
            ),
            graph(
                "Processor",
                "percentunit",
                "Cores in use. One process uses one core at most for its event loop.",
                (_OF.rate("process_cpu_seconds_total", ("instance",)), "{{instance}}"),
            ),
            graph(
                "Connections and descriptors",
                "short",
                "Each client and each call to an engine takes one descriptor. Near the limit clients are refused: "
                "raise LimitNOFILE.",
                (_OF.now("tidegate_client_connections"), "clients"),
                (_OF.now("tidegate_upstream_connections"), "engines"),
                (_OF.now("process_open_fds"), "descriptors"),
                (_OF.now("process_max_fds", how="min"), "descriptors, limit"),
            ),
            graph(
                "WebSockets",
                "short",
                "Open tunnels (/v1/realtime) against realtime.connections; each holds a place of its backend.",
                (_OF.now("tidegate_realtime_connections"), "open"),
                (_OF.now("tidegate_realtime_connections_limit"), "bound"),
            ),
            graph(
                "WebSockets: bytes",
                "Bps",
                "As they pass.",
                (_OF.rate("tidegate_realtime_bytes_total", ("direction",)), "{{direction}}"),
            ),
            graph(
                "WebSockets that ended, or never began",
                "cps",
                "client and engine: as they wanted. Refused: for want of room (full, tenant), or a page that is not in "
                "cors.origins (origin).",
                (_OF.rate("tidegate_realtime_ended_total", ("end",)), "{{end}}"),
                (_OF.rate("tidegate_realtime_refused_total", ("reason",)), "refused: {{reason}}"),
            ),
            graph(
                "Lost or turned away here",
                "cps",
                "All of it should be 0. Log lines are lost where nobody reads them; connections and bodies are "
                "refused at their bounds (limits.connections, limits.memory.bodies); traces where the collector "
                "takes none.",
                (_OF.rate("tidegate_log_lines_dropped_total", ("log",)), "log lines, {{log}}"),
                (_OF.rate("tidegate_refused_connections_total"), "connections"),
                (_OF.rate("tidegate_bodies_refused_total"), "bodies"),
                (_OF.rate("tidegate_traces_dropped_total"), "traces"),
            ),
        ),
    )


def _configuration() -> Row:
    return Row(
        "Configuration and logs",
        (
            states(
                "Last reload",
                "Whether the last attempt to load a configuration succeeded. failed: the one before is in place; "
                "`GET /config` on the admin port and the log say why.",
                (_OF.now("tidegate_config_last_reload_successful", ("instance",), how="min"), "{{instance}}"),
                (0, "failed", "red"),
                (1, "in place", "green"),
            ),
            graph(
                "Attempts to load a configuration",
                "short",
                "In the last 5 minutes, by what asked for it and how it ended; and options that wait for a restart.",
                (
                    _OF.count("tidegate_config_reloads_total", ("trigger", "result"), over=_OVER),
                    "{{trigger}}: {{result}}",
                ),
                (_OF.now("tidegate_config_restart_needed", how="max"), "options that wait for a restart"),
            ),
            graph(
                "What runs",
                "none",
                "Proxies by policy, admission mode, configuration and version. Two lines of one kind: not all "
                "proxies run the same.",
                (
                    _OF.now("tidegate_config_info", ("policy", "admission", "config")),
                    "{{policy}}, {{admission}}, {{config}}",
                ),
                (_OF.now("tidegate_build_info", ("version",)), "{{version}}"),
            ),
            graph(
                "Left of the certificate",
                "s",
                "Until the certificate that clients are shown is valid no more (tls.cert). A new file is noticed: "
                "it jumps up.",
                (
                    f"{_OF.now('tidegate_certificate_ends_timestamp_seconds', ('instance',), how='min')} - time()",
                    "{{instance}}",
                ),
            ),
            graph(
                "Exports to a collector",
                "cps",
                "Of spans and metrics, where `telemetry` is configured. failed: nothing is lost of metrics, spans are.",
                (_OF.rate("tidegate_telemetry_exports_total", ("signal", "result")), "{{signal}} {{result}}"),
            ),
        ),
    )


def process() -> Dashboard:
    """All of it."""
    return Dashboard(
        "tidegate-proxy",
        "Tidegate: the proxy itself",
        "Event loop, memory, connections, configuration.",
        (("instance", "label_values(tidegate_build_info, instance)"),),
        (_process(), _configuration()),
    )
