"""The dashboard of the engines: their state, what each takes and gives, what was learned of it, what it does wrong."""

from typing import Final

from proxy.obs.monitoring.engines import engines, now_and_then
from proxy.obs.monitoring.panels import Dashboard, Row, graph, states
from proxy.obs.monitoring.queries import Queries

_OF: Final = Queries("instance", "pool", "backend")
_BY: Final = ("backend",)
_NAME: Final = "{{backend}}"


def _state() -> Row:
    return Row(
        "State",
        (
            states(
                "Healthy",
                "out: ejected for failing, on trial after that, or away (nobody is there). With several proxies: of "
                "the one that thinks worst of it.",
                (_OF.now("tidegate_backend_healthy", _BY, how="min"), _NAME),
                (0, "out", "red"),
                (1, "healthy", "green"),
            ),
            graph(
                "Backends by state",
                "short",
                "Of all proxies together.",
                (_OF.now("tidegate_backend_state", ("state",)), "{{state}}"),
                stacked=True,
            ),
            states(
                "Reached",
                "no: the last connection was refused, so that nothing is there; it is looked for every second.",
                (_OF.now("tidegate_backend_reached", _BY, how="min"), _NAME),
                (0, "no", "red"),
                (1, "yes", "green"),
            ),
            graph(
                "Healthy backends of a model",
                "short",
                "At 0 nobody can be asked for it.",
                (_OF.now("tidegate_model_healthy_backends", ("model",), how="min"), "{{model}}"),
            ),
            graph(
                "Says that it is full",
                "cps",
                "Answers of 429, 503 and the like. Many: let `max_concurrency` or `seats` say what it takes.",
                (_OF.rate("tidegate_backend_busy_total", _BY), _NAME),
            ),
            graph(
                "Misconfigured",
                "cps",
                "Refused for the operator's fault (a key, a model that is missing) what another backend served. The "
                "log says what.",
                (_OF.rate("tidegate_backend_misconfigured_total", _BY), _NAME),
            ),
        ),
    )


def _latency() -> Row:
    return Row(
        "What clients get of each",
        (
            graph(
                "Time to first token, p95",
                "s",
                "From received, waiting included. One line above the others: that engine is slow; all of them: too "
                "few.",
                (_OF.quantile(0.95, "tidegate_ttft_seconds", _BY), _NAME),
            ),
            graph(
                "Time per output token, p95",
                "s",
                "It grows with the requests that an engine runs at once.",
                (_OF.quantile(0.95, "tidegate_tpot_seconds", _BY), _NAME),
            ),
            graph(
                "End to end, p95",
                "s",
                "From received to the last byte.",
                (_OF.quantile(0.95, "tidegate_e2e_seconds", _BY), _NAME),
            ),
            graph(
                "Service, p95",
                "s",
                "From the last dispatch to the last byte: the engine's own time.",
                (_OF.quantile(0.95, "tidegate_service_seconds", _BY), _NAME),
            ),
            graph(
                "First byte of the engine, p95",
                "s",
                "From the dispatch on. Of streams that begin at once it says nothing of the first token.",
                (_OF.quantile(0.95, "tidegate_engine_wait_seconds", _BY), _NAME),
            ),
            graph(
                "Connecting, p95",
                "s",
                "From the dispatch to a request written. Above some milliseconds: the network, or an engine that "
                "accepts slowly.",
                (_OF.quantile(0.95, "tidegate_connect_seconds", _BY), _NAME),
            ),
            graph(
                "Between tokens, p99",
                "s",
                "What people see as stutter: engines stop decoding while they compute a long prompt.",
                (_OF.quantile(0.99, "tidegate_itl_seconds", _BY), _NAME),
            ),
            graph(
                "Between events, p99",
                "s",
                "As they came; an event may carry several tokens.",
                (_OF.quantile(0.99, "tidegate_event_gap_seconds", _BY), _NAME),
            ),
            graph(
                "First token of the answer proper, p95",
                "s",
                "After what the model thinks, by endpoint.",
                (_OF.quantile(0.95, "tidegate_answer_ttft_seconds", ("endpoint",)), "{{endpoint}}"),
            ),
        ),
    )


def _load() -> Row:
    return Row(
        "Load",
        (
            graph(
                "In flight",
                "short",
                "Requests on the backend, and those of other clients that its metrics show.",
                (_OF.now("tidegate_backend_in_flight", _BY), _NAME),
                (_OF.now("tidegate_backend_foreign_requests", _BY, how="max"), "{{backend}}, of others"),
            ),
            graph(
                "Decoding, and seats",
                "short",
                "Requests past their first token, against what the engine runs at once: above, they queue there.",
                (_OF.now("tidegate_backend_decoding", _BY), "{{backend}}, decoding"),
                (_OF.now("tidegate_backend_seats", _BY, how="max"), "{{backend}}, seats"),
            ),
            graph(
                "KV memory",
                "percentunit",
                "Tokens promised, expected answers included, of what fits. Near 1 engines preempt.",
                (
                    f"{_OF.now('tidegate_backend_kv_used_tokens', _BY)} / {_OF.now('tidegate_backend_kv_tokens', _BY)}",
                    _NAME,
                ),
            ),
            graph(
                "Prefill outstanding",
                "s",
                "Predicted seconds of prompts before who comes next.",
                (_OF.now("tidegate_backend_backlog_seconds", _BY), _NAME),
            ),
            graph(
                "Duty",
                "percentunit",
                "The share of its time that goes into prefills: what is left is for decoding.",
                (_OF.now("tidegate_backend_duty", _BY, how="max"), _NAME),
            ),
            graph(
                "Output tokens",
                "short",
                "Per second, as the engines reported them.",
                (_OF.rate("tidegate_tokens_total", _BY, 'direction="completion"'), _NAME),
                stacked=True,
            ),
            graph(
                "Prompt tokens, and cached ones",
                "short",
                "Per second. The cached share is computed by nobody.",
                (_OF.rate("tidegate_tokens_total", ("direction",), 'direction=~"prompt|cached"'), "{{direction}}"),
            ),
            graph(
                "Connections",
                "short",
                "Open ones to each, idle ones included.",
                (_OF.now("tidegate_upstream_connections", _BY), _NAME),
            ),
            graph(
                "Share of its usual traffic",
                "percentunit",
                "Below 1 after a return: it starts slowly.",
                (_OF.now("tidegate_backend_share", _BY, how="min"), _NAME),
            ),
        ),
    )


def _learned() -> Row:
    return Row(
        "What was learned of each",
        (
            graph(
                "Prompt tokens a second",
                "short",
                "Learned: of a prompt of 1,000 tokens alone; computed: what it does now.",
                (_OF.now("tidegate_backend_learned_prefill_tokens_per_second", _BY, how="avg"), "{{backend}}, learned"),
                (_OF.now("tidegate_backend_prefill_tokens_per_second", _BY), "{{backend}}, computed"),
            ),
            graph(
                "Time per output token",
                "s",
                "Learned: of one more there; and the least that was promised to anybody there.",
                (_OF.now("tidegate_backend_learned_tpot_seconds", _BY, how="avg"), "{{backend}}, learned"),
                (_OF.now("tidegate_backend_tightest_tpot_seconds", _BY, how="min"), "{{backend}}, promised"),
            ),
            graph(
                "Slowness",
                "short",
                "How many times slower than predicted: prompts, and answers that flow. 1 is as predicted; above 3 "
                "it loses its traffic. Look at the machine.",
                (_OF.now("tidegate_backend_slowness", _BY, how="max"), "{{backend}}, prompts"),
                (_OF.now("tidegate_backend_decode_slowness", _BY, how="max"), "{{backend}}, answers"),
            ),
            graph(
                "Error of predicted TTFT",
                "percentunit",
                "Mean, as a share of the truth.",
                (_OF.now("tidegate_backend_ttft_error", _BY, how="max"), _NAME),
            ),
            graph(
                "Coverage of predicted TTFT",
                "percentunit",
                "The share of first tokens within the predicted .9 quantile: 0.9 is right.",
                (_OF.now("tidegate_backend_ttft_coverage", _BY, how="min"), _NAME),
            ),
            graph(
                "First tokens seen",
                "short",
                "That predictions were checked against, since the start.",
                (_OF.now("tidegate_backend_ttft_samples", _BY), _NAME),
            ),
            graph(
                "Blocks in its prefix cache",
                "short",
                "Prompt blocks that it is believed to have.",
                (_OF.now("tidegate_backend_prefix_blocks", _BY), _NAME),
            ),
            graph(
                "Trust in its prefix cache",
                "percentunit",
                "Cached tokens found per token predicted. Low: it forgets sooner than is believed, or caches nothing.",
                (_OF.now("tidegate_backend_prefix_trust", _BY, how="min"), _NAME),
            ),
            graph(
                "What it does not tell",
                "cps",
                "Readings of its metrics that were nonsense, and answers without a count of cached tokens.",
                (_OF.now("tidegate_backend_scrapes_ignored", _BY), "{{backend}}, readings so far"),
                (_OF.rate("tidegate_cached_untold_total", _BY), "{{backend}}, cached untold"),
            ),
        ),
    )


def backends() -> Dashboard:
    """All of it."""
    return Dashboard(
        "tidegate-backends",
        "Tidegate: backends",
        "State, latency, load and speed of each engine.",
        (
            ("instance", "label_values(tidegate_build_info, instance)"),
            ("pool", 'label_values(tidegate_backend_healthy{instance=~"$instance"}, pool)'),
            ("backend", 'label_values(tidegate_backend_healthy{instance=~"$instance", pool=~"$pool"}, backend)'),
        ),
        (_state(), _latency(), _load(), _learned(), engines(), now_and_then()),
    )
