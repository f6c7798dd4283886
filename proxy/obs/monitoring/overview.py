"""The dashboard that is looked at first: what was promised, whether it was kept, and where the time went."""

from collections.abc import Iterator
from typing import Final

from proxy.obs.monitoring.panels import Dashboard, Row, Step, graph, stat
from proxy.obs.monitoring.queries import Queries

_OF: Final = Queries("instance", "class")
_OVER: Final = "[5m]"
"""Of single numbers: long enough not to jump."""
_KEPT: Final = 'result="kept"'
_JUDGED: Final = 'result!~"left|cached"'
"""Jobs that say whether promises are kept: not those whose client left, nor answers from memory."""
_NOT_SERVED: Final = 'verdict=~"shed|failed", end_code!~"C.*"'
"""But for requests that are wrong by themselves."""
_GOOD: Final = (Step("red"), Step("orange", 0.9), Step("green", 0.98))
_BAD: Final = (Step("green"), Step("orange", 0.01), Step("red", 0.05))


def _percentiles(histogram: str, name: str = "") -> Iterator[tuple[str, str]]:
    for share in (0.5, 0.95, 0.99):
        yield _OF.quantile(share, histogram), f"{name}p{100 * share:g}"


def _now() -> Row:
    good, whole = "tidegate_goodput_tokens_total", "tidegate_throughput_tokens_total"
    ended, requests = "tidegate_slo_requests_total", "tidegate_requests_total"
    not_served = f"({_OF.rate(requests, where=_NOT_SERVED, over=_OVER)} or vector(0))"
    return Row(
        "Now (the last 5 minutes)",
        (
            stat(
                "Goodput",
                "percentunit",
                "The share of all output tokens that belongs to requests which kept everything promised to them. "
                "Where it is low, see which promise is missed.",
                f"{_OF.rate(good, over=_OVER)} / {_OF.rate(whole, over=_OVER)}",
                *_GOOD,
            ),
            stat(
                "Promises kept",
                "percentunit",
                "The share of all requests that was served within everything promised; late, refused and failed "
                "ones are the rest.",
                f"{_OF.rate(ended, where=_KEPT, over=_OVER)} / {_OF.rate(ended, where=_JUDGED, over=_OVER)}",
                *_GOOD,
            ),
            stat(
                "Not served",
                "percentunit",
                "The share of requests that were refused or failed, but for those that are wrong by themselves. "
                "Which, and why: see the row of requests.",
                f"{not_served} / {_OF.rate(requests, over=_OVER)}",
                *_BAD,
            ),
            stat("Requests", "reqps", "How many end per second, however they end.", _OF.rate(requests, over=_OVER)),
            stat(
                "Good tokens per second",
                "short",
                "Output tokens of requests that kept their promises: what the engines are there for.",
                _OF.rate(good, over=_OVER),
            ),
            stat(
                "Healthy backends",
                "percentunit",
                "The share of the configured backends that take traffic. Which does not: see the dashboard of "
                "backends.",
                _OF.now("tidegate_backend_healthy", how="avg"),
                Step("red"),
                Step("orange", 0.5),
                Step("green", 1.0),
            ),
        ),
    )


def _promises() -> Row:
    good, whole = "tidegate_goodput_tokens_total", "tidegate_throughput_tokens_total"
    ended, by = "tidegate_slo_requests_total", ("class",)
    missed, promised = "tidegate_slo_missed_total", "tidegate_slo_promised_total"
    return Row(
        "Promises",
        (
            graph(
                "Goodput against throughput",
                "short",
                "Output tokens per second. What lies between the lines was computed and came too late to be of use.",
                (_OF.rate(whole), "throughput"),
                (_OF.rate(good), "goodput"),
            ),
            graph(
                "Goodput by class",
                "percentunit",
                "Goodput as a share of throughput. A class that is promised nothing is good whenever it is served.",
                (f"{_OF.rate(good, by)} / {_OF.rate(whole, by)}", "{{class}}"),
            ),
            graph(
                "Promises kept by class",
                "percentunit",
                "The share of jobs that kept all that was promised. What is missing is late, refused or failed.",
                (f"{_OF.rate(ended, by, _KEPT)} / {_OF.rate(ended, by, _JUDGED)}", "{{class}}"),
            ),
            graph(
                "Promises missed",
                "percentunit",
                "Of served jobs, by promise. TTFT: too long a queue or prompts; TPOT: too many at once on an engine.",
                (
                    f"{_OF.rate(missed, ('class', 'promise'))} / {_OF.rate(promised, ('class', 'promise'))}",
                    "{{class}} {{promise}}",
                ),
            ),
            graph(
                "Error budgets left",
                "percentunit",
                "What is left of the budget of each objective in `slos`: at 0 it is used up. Drawn where there are "
                "objectives. Their alerts come from `tidegate slo rules`.",
                (_OF.now("tidegate_slo_error_budget_left_ratio", ("slo",), how="min"), "{{slo}}"),
            ),
            graph(
                "Burn rates",
                "short",
                "How fast the budgets are used: 1 uses one up exactly within its window, 14.4 in two days of thirty.",
                (
                    _OF.now("tidegate_slo_burn_rate", ("slo", "window"), 'window=~"5m|1h"', how="max"),
                    "{{slo}}, last {{window}}",
                ),
            ),
        ),
    )


def _latency() -> Row:
    return Row(
        "Latency of the chosen classes",
        (
            graph(
                "Time to first token",
                "s",
                "Of streams: from received to the first event with output, waiting included. This is what people feel.",
                *_percentiles("tidegate_ttft_seconds"),
            ),
            graph(
                "Time per output token",
                "s",
                "Of streams, after the first token, on the mean of each request. Above 0.1 s people read faster.",
                *_percentiles("tidegate_tpot_seconds"),
            ),
            graph(
                "End to end",
                "s",
                "From received to the last byte sent. It grows with the length of answers: compare like with like.",
                *_percentiles("tidegate_e2e_seconds"),
            ),
            graph(
                "Held here, and at the engine",
                "s",
                "Held: the time before a request is sent, which is the proxy's doing. Service: from then on, which "
                "is the engine's. Held grows first when there are too few engines.",
                (_OF.quantile(0.5, "tidegate_queue_seconds"), "held p50"),
                (_OF.quantile(0.95, "tidegate_queue_seconds"), "held p95"),
                (_OF.quantile(0.5, "tidegate_service_seconds"), "service p50"),
                (_OF.quantile(0.95, "tidegate_service_seconds"), "service p95"),
            ),
            graph(
                "First tokens, warm and cold",
                "s",
                "Median of the last minute. prefix: the engine had computed the beginning of the prompt before; "
                "cold: it had to compute all of it. The distance between them is what routing by prefix gains.",
                (
                    _OF.now(
                        "tidegate_recent_ttft_seconds",
                        ("name",),
                        'by="warmth", window="1m", percentile="50"',
                        how="avg",
                    ),
                    "{{name}}",
                ),
            ),
            graph(
                "Added by the proxy",
                "s",
                "Time that is neither queue nor engine: reading, deciding, writing. Some milliseconds; more means a "
                "busy event loop.",
                *_percentiles("tidegate_overhead_seconds"),
            ),
        ),
    )


def _requests() -> Row:
    requests = "tidegate_requests_total"
    return Row(
        "Requests",
        (
            graph(
                "By how they ended",
                "reqps",
                "served, shed (refused here), failed (or wrong by themselves: see end-codes), cancelled (the client "
                "left).",
                (_OF.rate(requests, ("verdict",)), "{{verdict}}"),
                stacked=True,
            ),
            graph(
                "Refused, by the limit",
                "reqps",
                "Which limit a refused job would have broken: ttft and deadline want more engines, kv and seats "
                "larger ones, quota is the tenant's own. All reasons: proxy/obs/README.md.",
                (_OF.rate("tidegate_refusals_total", ("reason",)), "{{reason}}"),
                stacked=True,
            ),
            graph(
                "Faults",
                "reqps",
                "Requests that ended in a fault: whose (downstream: the client's, upstream: the engine's, internal: "
                "the proxy's), and what.",
                (_OF.rate("tidegate_faults_total", ("source", "kind")), "{{source}} {{kind}}"),
            ),
            graph(
                "Not served, by end-code",
                "reqps",
                "First letter: who ended it (C client, U engine, P proxy). Second: in which phase (R reading, Q "
                "queue, H before the engine's head, S in the stream).",
                (_OF.rate(requests, ("end_code",), 'verdict!="served"'), "{{end_code}}"),
            ),
            graph(
                "By status",
                "reqps",
                "HTTP status of the answers; 499: the client left before there was one.",
                (_OF.rate(requests, ("status",)), "{{status}}"),
                stacked=True,
            ),
            graph(
                "By class",
                "reqps",
                "Who asks. `none` was no job: lists of models, health, what could not be read.",
                (_OF.rate(requests, ("class",)), "{{class}}"),
                stacked=True,
            ),
        ),
    )


def overview() -> Dashboard:
    """All of it."""
    return Dashboard(
        "tidegate",
        "Tidegate",
        "Promises kept, goodput, latency, refusals.",
        (
            ("instance", "label_values(tidegate_build_info, instance)"),
            ("class", 'label_values(tidegate_requests_total{instance=~"$instance"}, class)'),
        ),
        (_now(), _promises(), _latency(), _requests()),
    )
