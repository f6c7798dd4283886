"""Alerts for Prometheus that hold for any installation, as a file of rules.

Owns when each fires and what is to be done then. Those of service level objectives are written by `tidegate slo rules`.
"""

from typing import Any, Final, Literal, NamedTuple

import yaml

from proxy.obs.monitoring.queries import Queries

JOB: Final = "tidegate"
"""Of the proxies, in `scrape_configs`."""
GUIDE: Final = "deploy/README.md"
_OF: Final = Queries()
_OVER: Final = "[5m]"
_NOT_BY_CLIENTS: Final = 'verdict="failed", end_code!~"C.*"'
"""Requests that are wrong by themselves fail too, and are nobody's to mend here."""
_HEAD: Final = f"""\
# Written by `python -m proxy.obs.dashboards`: edit proxy/obs/monitoring/alerts.py. Load it by rule_files of
# prometheus.yml.
#
# The job of the proxies is called `{JOB}`. page: somebody looks now; ticket: within a day. Alerts of service level
# objectives come from `tidegate slo rules`.
"""
_ALL: Final = "the proxy at {{ $labels.instance }}"


class Alert(NamedTuple):
    """One rule."""

    name: str
    expr: str
    after: str
    """So long it has to hold."""
    severity: Literal["page", "ticket"]
    summary: str
    what_to_do: str
    part: str
    """Of the guide, where it says more."""


def alerts() -> tuple[Alert, ...]:
    """All of them, the worst first."""
    return (*_gone(), *_served(), *_judged(), *_process())


def rules() -> str:
    """The file."""
    made = [{"name": JOB, "rules": [_rule(one) for one in alerts()]}]
    return _HEAD + yaml.safe_dump({"groups": made}, sort_keys=False, width=1000, allow_unicode=True)


def _rule(one: Alert) -> dict[str, Any]:
    return {
        "alert": one.name,
        "expr": one.expr,
        "for": one.after,
        "labels": {"severity": one.severity},
        "annotations": {
            "summary": one.summary,
            "description": one.what_to_do,
            "guide": f"{GUIDE}#{one.part}",
        },
    }


def _gone() -> tuple[Alert, ...]:
    """Nobody is there."""
    up = f'up{{job="{JOB}"}}'
    return (
        Alert(
            "TidegateDown",
            f"{up} == 0 or absent({up})",
            "1m",
            "page",
            "No metrics of a Tidegate proxy",
            "It does not run, cannot be reached, or is not scraped: look at its unit or container and its last log "
            "lines, then at the target in Prometheus (a 401 wants its admin_key, a 403 a name in console.hosts).",
            "when-an-alert-fires",
        ),
        Alert(
            "TidegateModelGone",
            f"{_OF.now('tidegate_model_healthy_backends', ('instance', 'model'))} == 0",
            "30s",
            "page",
            "No backend can be asked for {{ $labels.model }}",
            f"Every engine that serves it is away, ejected or pausing, as {_ALL} sees it. Start them; `tidegate "
            "doctor` says what it sees of each. A fallback for the model (routing.models) would serve meanwhile.",
            "backends-that-are-out",
        ),
        Alert(
            "TidegatePoolGone",
            f"{_OF.now('tidegate_backend_healthy', ('instance', 'pool'), how='max')} == 0",
            "30s",
            "page",
            "No healthy backend in pool {{ $labels.pool }}",
            f"Every engine of it is out, as {_ALL} sees it. Start them; `tidegate doctor` says what it sees of each.",
            "backends-that-are-out",
        ),
        Alert(
            "TidegateBackendOut",
            f"{_OF.now('tidegate_backend_healthy', ('instance', 'backend', 'pool'), how='min')} == 0",
            "2m",
            "ticket",
            "Backend {{ $labels.backend }} takes no traffic",
            "It failed too often, or nothing is there; the others take its share. Look at the engine's own log; "
            "`tidegate doctor` says what the proxy sees of it. It comes back by itself.",
            "backends-that-are-out",
        ),
    )


def _served() -> tuple[Alert, ...]:
    """What clients get."""
    good, whole = "tidegate_goodput_tokens_total", "tidegate_throughput_tokens_total"
    requests, by = "tidegate_requests_total", ("class",)
    over = "[10m]"
    ratio = f"{_OF.rate(good, by, over=over)} / {_OF.rate(whole, by, over=over)}"
    every = _OF.rate(requests, by, over=over)
    shed = f"{_OF.rate(requests, by, _verdict('shed'), over)} / {every}"
    failed = f"{_OF.rate(requests, by, _NOT_BY_CLIENTS, over)} / {every}"
    some = f"{every} > 0.1"
    return (
        Alert(
            "TidegateGoodputLow",
            f"{ratio} < 0.8 and {_OF.rate(whole, by, over=over)} > 10",
            "10m",
            "page",
            "Class {{ $labels.class }}: much of what is computed comes too late",
            "Only {{ $value | humanizePercentage }} of its output tokens belong to requests that kept their "
            "promises. See which promise is missed: for TTFT more engines or admission that enforces, for TPOT "
            "fewer requests at once on each engine; or the promise is more than these engines can keep.",
            "promises-that-are-missed",
        ),
        Alert(
            "TidegateRefusalsHigh",
            f"{shed} > 0.05 and {some}",
            "10m",
            "ticket",
            "Class {{ $labels.class }}: {{ $value | humanizePercentage }} of its requests are refused",
            "`tidegate_refusals_total` says by which limit: ttft, deadline, seats and kv want more engines, quota "
            "is the tenant's own, queue a longer hold. `tidegate explain` shows it for one request.",
            "refusals-and-a-full-hold",
        ),
        Alert(
            "TidegateFailuresHigh",
            f"{failed} > 0.02 and {some}",
            "5m",
            "page",
            "Class {{ $labels.class }}: {{ $value | humanizePercentage }} of its requests fail",
            "`tidegate_faults_total` says whose fault and what; the access log says which backend (`end_code` UH, "
            "US: the engine's). A backend that fails is ejected, so that this means several, or the proxy itself.",
            "backends-that-are-out",
        ),
        Alert(
            "TidegateHoldNearlyFull",
            f"{_OF.now('tidegate_hold_fill_ratio', ('instance', 'what'), how='max')} > 0.8",
            "5m",
            "ticket",
            "The hold ({{ $labels.what }}) is {{ $value | humanizePercentage }} full",
            f"More jobs wait at {_ALL} than go; at 100 % they are refused. More engines, or, where waiting is well "
            "(bulk), a larger bound: `hold` for short, `routing.backfill` for bulk.",
            "refusals-and-a-full-hold",
        ),
    )


def _judged() -> tuple[Alert, ...]:
    """Whether what is predicted comes true."""
    pool = ("instance", "pool")
    alarms = "tidegate_pool_refusal_alarms_total"
    samples = _OF.now("tidegate_pool_ttft_samples", pool, how="max")
    return (
        Alert(
            "TidegateFalseRefusals",
            f"sum by (instance, pool) (increase({_OF.of(alarms)}[30m])) > 0",
            "1m",
            "ticket",
            "Pool {{ $labels.pool }} refused requests that would have kept their promises",
            "It has stopped to refuse for time by itself, and begins again when predictions hold. If it comes back: "
            "an engine with other clients, or one whose speed changes; see predictions against what came of them.",
            "predictions-that-do-not-hold",
        ),
        Alert(
            "TidegatePredictionsOff",
            f"{_OF.now('tidegate_pool_ttft_error', pool, how='max')} > 0.5 and {samples} >= 100",
            "30m",
            "ticket",
            "Pool {{ $labels.pool }}: first tokens are predicted {{ $value | humanizePercentage }} off",
            "Routing and admission go by these predictions. Look for engines that have other clients, that became "
            "slow, or that differ within the pool: give those a pool of their own.",
            "predictions-that-do-not-hold",
        ),
    )


def _process() -> tuple[Alert, ...]:
    """The proxy itself."""
    is_proxy = "and on (instance, job) tidegate_build_info"
    lag = _OF.quantile(0.99, "tidegate_loop_lag_seconds", ("instance",), _OVER)
    lost = f"sum by (instance, log) (increase({_OF.of('tidegate_log_lines_dropped_total')}[10m]))"
    return (
        Alert(
            "TidegateReloadFailed",
            "tidegate_config_last_reload_successful == 0",
            "1m",
            "ticket",
            "The last configuration was not put in place",
            f"At {_ALL} the one before is in place, and a restart would not start. Its log and `GET /config` say "
            "why, with line and column; `tidegate check FILE` finds it before.",
            "changing-the-configuration",
        ),
        Alert(
            "TidegateCertificateEnds",
            "tidegate_certificate_ends_timestamp_seconds - time() < 14 * 86400",
            "1h",
            "ticket",
            "The certificate ends in {{ $value | humanizeDuration }}",
            f"Clients of {_ALL} are refused by themselves from then on. Renew the files that tls.cert and tls.key "
            "name: they are noticed, no restart is needed. If they are renewed, what renews them writes elsewhere.",
            "tls",
        ),
        Alert(
            "TidegateLogLinesLost",
            f"{lost} > 0",
            "1m",
            "ticket",
            "Lines of the {{ $labels.log }} log are lost",
            f"Nobody reads them at {_ALL}, or the disk is full, or the folder is gone. Requests are served all the "
            "same.",
            "log-files",
        ),
        Alert(
            "TidegateEventLoopLag",
            f"{lag} > 0.1",
            "5m",
            "ticket",
            "The event loop is {{ $value | humanizeDuration }} late",
            f"Everything waits for the processor at {_ALL}. Give it a core of its own, or run one more proxy.",
            "the-process-at-its-limits",
        ),
        Alert(
            "TidegateDescriptorsLow",
            f"process_open_fds / process_max_fds > 0.8 {is_proxy}",
            "5m",
            "ticket",
            "{{ $value | humanizePercentage }} of the descriptors are open",
            f"At the limit {_ALL} refuses clients. Raise LimitNOFILE (systemd) or ulimits.nofile (containers); each "
            "stream takes two.",
            "the-process-at-its-limits",
        ),
        Alert(
            "TidegateMemoryNearGuard",
            "process_resident_memory_bytes / on (instance, job) tidegate_memory_limit_bytes > 0.85",
            "5m",
            "page",
            "{{ $value | humanizePercentage }} of the memory is used",
            f"At 92 % {_ALL} refuses bulk, at 96 % everything. Give it more, or bound what takes it: "
            "limits.memory.bodies, cache.size, hold.",
            "the-process-at-its-limits",
        ),
    )


def _verdict(name: str) -> str:
    return f'verdict="{name}"'
