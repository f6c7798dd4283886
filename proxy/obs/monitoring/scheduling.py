"""The dashboard of decisions: who waits, who is refused, whether predictions come true, what is tried twice, what goes
together, what is answered from memory."""

from typing import Final

from proxy.obs.monitoring.panels import Dashboard, Row, Step, graph, stat, states
from proxy.obs.monitoring.queries import Queries

_OF: Final = Queries("instance", "class", "pool")


def _waiting() -> Row:
    return Row(
        "Who waits, and who is refused",
        (
            graph(
                "Held jobs",
                "short",
                "Jobs that wait here, and those of them that are bulk. Bulk that waits is well; others that wait "
                "for long want more engines.",
                (_OF.now("tidegate_held_jobs"), "all"),
                (_OF.now("tidegate_backfill_jobs"), "bulk"),
            ),
            graph(
                "How full the hold is",
                "percentunit",
                "Jobs or bytes that wait, over their bound (`hold`). At 1 more are refused.",
                (_OF.now("tidegate_hold_fill_ratio", ("what",), how="max"), "{{what}}"),
            ),
            graph("Bodies of held jobs", "bytes", "Memory that waits.", (_OF.now("tidegate_held_bytes"), "bytes")),
            graph(
                "Refused, by the limit",
                "reqps",
                "What admission refused, by the limit that would have been broken.",
                (_OF.rate("tidegate_refusals_total", ("reason",)), "{{reason}}"),
                stacked=True,
            ),
            graph(
                "Would have been refused",
                "reqps",
                "While a pool refuses nothing for time yet (its predictions do not hold, or admission is off): what "
                "it would have refused.",
                (_OF.rate("tidegate_shadow_refusals_total", ("pool", "reason")), "{{pool}} {{reason}}"),
                stacked=True,
            ),
            graph(
                "Instead of a refusal",
                "cps",
                "Jobs that were sent to another model or pool, served late as bulk, or had bulk make room for them.",
                (_OF.rate("tidegate_fallbacks_total", ("class", "to")), "{{class}} to {{to}}"),
                (_OF.rate("tidegate_demoted_total"), "late, as bulk"),
                (_OF.rate("tidegate_preempted_total"), "bulk sent back"),
            ),
        ),
    )


def _predictions() -> Row:
    backend = ("backend",)
    return Row(
        "Predictions against what came of them",
        (
            graph(
                "Error of predicted TTFT",
                "percentunit",
                "Mean error as a share of the truth, by pool. Below 0.3 is good; where it stays high, an engine has "
                "other clients, or is not what it was learned to be.",
                (_OF.now("tidegate_pool_ttft_error", ("pool",), how="max"), "{{pool}}"),
            ),
            graph(
                "Coverage of predicted TTFT",
                "percentunit",
                "The share of first tokens that came within the predicted .9 quantile: 0.9 is right. Below, "
                "requests are let in that will be late; above, some are refused that would not be.",
                (_OF.now("tidegate_pool_ttft_coverage", ("pool",), how="min"), "{{pool}}"),
            ),
            graph(
                "Actual over predicted",
                "short",
                "The .9 quantile by backend: the margin that is kept. 1 is exact; it grows where an engine is erratic.",
                (_OF.now("tidegate_backend_ttft_margin", backend, how="max"), "{{backend}}"),
            ),
            graph(
                "Utilisation",
                "percentunit",
                "Backend seconds asked for per second and backend. Above 0.85 waits grow steeply; above 1 the pool "
                "cannot keep up.",
                (_OF.now("tidegate_pool_utilisation", ("pool",), how="max"), "{{pool}}"),
            ),
            graph(
                "Predicted wait of a newcomer",
                "s",
                "What this utilisation means for who comes next.",
                (_OF.now("tidegate_pool_predicted_wait_seconds", ("pool",), how="max"), "{{pool}}"),
            ),
            states(
                "Refuses for time",
                "With admission `auto` a pool refuses for time once its predictions have proved themselves, and "
                "stops when refusals prove false.",
                (_OF.now("tidegate_pool_enforces", ("pool",), how="min"), "{{pool}}"),
                (0, "watches", "blue"),
                (1, "refuses", "green"),
            ),
            graph(
                "Refusals that were tried",
                "cps",
                "Now and then a job that would be refused is sent after all. Those that kept every promise were "
                "false refusals; an alarm stops all refusals for time in the pool.",
                (_OF.rate("tidegate_pool_refusal_probes_total", ("pool",)), "{{pool}}, tried"),
                (_OF.rate("tidegate_pool_false_refusal_probes_total", ("pool",)), "{{pool}}, false"),
                (_OF.rate("tidegate_pool_refusal_alarms_total", ("pool",)), "{{pool}}, alarms"),
            ),
            graph(
                "First tokens that predictions were checked against",
                "short",
                "Since the start, by pool. Under 100 a pool has not proved itself.",
                (_OF.now("tidegate_pool_ttft_samples", ("pool",)), "{{pool}}"),
            ),
            graph(
                "Prompt tokens in prefix caches",
                "short",
                "Per second: predicted and actual where engines tell them; untold and inferred (from timing) where "
                "not. Predicted far above actual: engines forget sooner than is believed.",
                (_OF.rate("tidegate_prefix_hit_tokens_total", ("what",)), "{{what}}"),
            ),
        ),
    )


def _again() -> Row:
    return Row(
        "Tried twice",
        (
            graph(
                "Retries and ejections",
                "cps",
                "Attempts after the first, and backends taken out for failing.",
                (_OF.rate("tidegate_retries_total"), "retries"),
                (_OF.rate("tidegate_ejections_total"), "ejections"),
            ),
            graph(
                "Retries left",
                "short",
                "What the budget still allows now. 0: failures are passed on, so that retries do not add to an "
                "overload.",
                (_OF.now("tidegate_retry_budget_left", ("instance",)), "{{instance}}"),
            ),
            graph(
                "Hedges",
                "cps",
                "Where a class hedges: attempts found late, second ones sent beside them, and those that answered "
                "first. Few won: the delay is too short.",
                (_OF.rate("tidegate_late_attempts_total"), "late"),
                (_OF.rate("tidegate_hedges_total"), "sent"),
                (_OF.rate("tidegate_hedges_won_total"), "won"),
            ),
            graph(
                "Hedges that were not sent",
                "cps",
                "budget: it was spent; backend: no other one would be faster.",
                (_OF.rate("tidegate_hedges_withheld_total", ("reason",)), "{{reason}}"),
            ),
            graph(
                "Jobs with two attempts out",
                "short",
                "Now. Each takes two places at engines.",
                (_OF.now("tidegate_hedging_jobs"), "jobs"),
            ),
            graph(
                "Tokens for nobody",
                "short",
                "Per second: what engines worked at in vain, by why. client_gone is the clients' doing; hedge_lost "
                "and retry are the price of the row above.",
                (_OF.rate("tidegate_wasted_tokens_total", ("cause", "direction")), "{{cause}} {{direction}}"),
                (_OF.rate("tidegate_hedge_tokens_total"), "prompts of losing hedges"),
                stacked=True,
            ),
        ),
    )


def _together() -> Row:
    return Row(
        "What goes together",
        (
            graph(
                "Time in a window",
                "s",
                "How long jobs wait for others to go with. Longer than the call is worth: lower `window.max_wait`.",
                (_OF.quantile(0.5, "tidegate_window_seconds"), "p50"),
                (_OF.quantile(0.95, "tidegate_window_seconds"), "p95"),
            ),
            graph(
                "Jobs per call",
                "short",
                "Of those that went through a window, on the mean.",
                (_OF.mean("tidegate_batch_jobs", ("class",)), "{{class}}"),
            ),
            graph(
                "Why windows closed",
                "cps",
                "full and tokens: as large as they may be; age: waited long enough; deadline: somebody had to go; "
                "idle: a backend was free.",
                (_OF.rate("tidegate_windows_closed_total", ("reason",)), "{{reason}}"),
                stacked=True,
            ),
            graph(
                "Calls saved",
                "cps",
                "Requests that no call of their own was made for.",
                (_OF.rate("tidegate_calls_saved_total", ("how",)), "{{how}}"),
            ),
            graph(
                "Merged prompt tokens",
                "short",
                "Per second.",
                (_OF.rate("tidegate_merged_tokens_total", ("class",)), "{{class}}"),
            ),
        ),
    )


def _memory() -> Row:
    hit, asked = 'result=~"hit|coalesced"', 'result!="bypass"'
    requests = "tidegate_cache_requests_total"
    return Row(
        "Answers from memory",
        (
            stat(
                "Answered from memory",
                "percentunit",
                "Hits and requests that shared an identical one's answer, of all that might have been.",
                f"{_OF.rate(requests, where=hit, over='[5m]')} / {_OF.rate(requests, where=asked, over='[5m]')}",
                Step("blue"),
            ),
            stat("Kept answers", "short", "In this process.", _OF.now("tidegate_cache_entries"), Step("blue")),
            stat(
                "Owners of kept answers",
                "short",
                "Tenants, and classes that share: nobody sees another one's.",
                _OF.now("tidegate_cache_tenants"),
                Step("blue"),
            ),
            stat(
                "Shared right now",
                "short",
                "Requests under way whose answers identical ones wait for.",
                _OF.now("tidegate_cache_flights"),
                Step("blue"),
            ),
            stat(
                "Made void",
                "short",
                "Times that all kept answers were made void: `tidegate cache bump`, or another model behind a name.",
                _OF.count("tidegate_cache_bumps_total"),
                Step("blue"),
            ),
            stat(
                "Tokens from memory",
                "short",
                "Output tokens per second of answers that no engine computed. In none of the other counts.",
                _OF.rate("tidegate_cached_tokens_total", over="[5m]"),
                Step("blue"),
            ),
            graph(
                "Requests by what the cache did",
                "reqps",
                "hit, coalesced (with an identical one under way), miss, bypass (not to be kept).",
                (_OF.rate(requests, ("result",)), "{{result}}"),
                stacked=True,
            ),
            graph(
                "Memory of kept answers",
                "bytes",
                "Against `cache.size`. Full with answers dropped for want of room: a larger one would hit more.",
                (_OF.now("tidegate_cache_bytes"), "used"),
                (_OF.now("tidegate_cache_limit_bytes"), "bound"),
            ),
            graph(
                "Kept and dropped",
                "cps",
                "Answers that were kept, and those that are no more, by why.",
                (_OF.rate("tidegate_cache_stored_total"), "kept"),
                (_OF.rate("tidegate_cache_dropped_total", ("reason",)), "dropped: {{reason}}"),
            ),
            graph(
                "Second level",
                "cps",
                "Where `cache.remote` is configured. error and left_out: it is slow or away, and nobody waits for it.",
                (_OF.rate("tidegate_cache_remote_total", ("event",)), "{{event}}"),
            ),
            graph(
                "Kept responses and conversations",
                "cps",
                "Ids that requests named, by where their backend was found; and those told to the second level."
                " nowhere and unanswered got 404: many of them mean that a client talks to proxies that do not share.",
                (_OF.rate("tidegate_stored_lookups_total", ("found",)), "{{found}}"),
                (_OF.rate("tidegate_stored_told_total", ("result",)), "{{result}}"),
            ),
        ),
    )


def scheduling() -> Dashboard:
    """All of it."""
    return Dashboard(
        "tidegate-scheduler",
        "Tidegate: scheduling",
        "Who waits and who is refused, predictions, retries and hedges, windows, the cache.",
        (
            ("instance", "label_values(tidegate_build_info, instance)"),
            ("class", 'label_values(tidegate_requests_total{instance=~"$instance"}, class)'),
            ("pool", 'label_values(tidegate_backend_healthy{instance=~"$instance"}, pool)'),
        ),
        (_waiting(), _predictions(), _again(), _together(), _memory()),
    )
