"""The dashboard of who uses what: tenants and models, their prompts, the pipelines around them."""

from typing import Final

from proxy.obs.monitoring.batches import batches
from proxy.obs.monitoring.panels import Dashboard, Row, graph, table
from proxy.obs.monitoring.queries import Queries

_OF: Final = Queries("instance", "model", "tenant")
_WHO: Final = ("tenant", "model")
_HIT: Final = 'result="hit"'


def _tenants() -> Row:
    requests, tokens = "tidegate_usage_requests_total", "tidegate_usage_tokens_total"
    service, queue = "tidegate_usage_service_seconds_total", "tidegate_usage_queue_seconds_total"
    return Row(
        "Tenants and models",
        (
            table(
                "In the time that is shown",
                "short",
                "Requests, tokens and seconds of engines by tenant and model. `other`: a tenant without an entry, a "
                "model beyond `metrics.models`; `none`: no key, no model.",
                (_OF.count(requests, _WHO), "requests"),
                (_OF.count(tokens, _WHO, 'direction="prompt"'), "prompt tokens"),
                (_OF.count(tokens, _WHO, 'direction="cached"'), "of them cached"),
                (_OF.count(tokens, _WHO, 'direction="completion"'), "output tokens"),
                (_OF.count(service, _WHO), "engine seconds"),
            ),
            graph(
                "Who makes the engines busy",
                "short",
                "Seconds of service per second: as many requests of a tenant are at engines on the mean.",
                (_OF.rate(service, ("tenant",)), "{{tenant}}"),
                stacked=True,
            ),
            graph(
                "Requests by tenant",
                "reqps",
                "However they end.",
                (_OF.rate(requests, ("tenant",)), "{{tenant}}"),
                stacked=True,
            ),
            graph(
                "Not served, by tenant",
                "reqps",
                "shed: refused, be it by the tenant's own quota or for want of room; failed: an engine's fault, the "
                "proxy's, or a request that is wrong by itself.",
                (_OF.rate(requests, ("tenant", "verdict"), 'verdict=~"shed|failed"'), "{{tenant}} {{verdict}}"),
            ),
            graph(
                "Output tokens by model",
                "short",
                "Per second, of engines and (kept) from memory.",
                (_OF.rate(tokens, ("model",), 'direction=~"completion|kept"'), "{{model}}"),
                stacked=True,
            ),
            graph(
                "Held per request",
                "s",
                "How long the requests of a tenant wait here, on the mean. Fairness shows here: who asks for much "
                "waits.",
                (f"{_OF.rate(queue, ('tenant',))} / {_OF.rate(requests, ('tenant',))}", "{{tenant}}"),
            ),
            graph(
                "Cached share of prompts",
                "percentunit",
                "Of the prompt tokens, those that engines had computed before. Low for a tenant with long prompts: "
                "see where its prompts stop being alike, below.",
                (
                    f"{_OF.rate(tokens, ('tenant',), _is('cached'))} / {_OF.rate(tokens, ('tenant',), _is('prompt'))}",
                    "{{tenant}}",
                ),
            ),
            graph(
                "Service given lately",
                "s",
                "Backend seconds, decayed: what the fair order goes by.",
                (_OF.now("tidegate_tenant_service_seconds", ("tenant",)), "{{tenant}}"),
            ),
            graph(
                "Left of quotas",
                "short",
                "What a tenant may still use now. At 0 its requests get a 429.",
                (_OF.now("tidegate_tenant_quota_left", ("tenant", "what"), how="min"), "{{tenant}} {{what}}"),
            ),
        ),
    )


def _is(direction: str) -> str:
    return f'direction="{direction}"'


def _models() -> Row:
    of_model = 'by="model", name=~"$model", window="1m", percentile=~"50|95"'
    panels = [
        graph(
            title,
            "s",
            reads,
            (
                _OF.now(f"tidegate_recent_{measure}_seconds", ("name", "percentile"), of_model, "max"),
                "{{name}} p{{percentile}}",
            ),
        )
        for measure, title, reads in (
            (
                "ttft",
                "Time to first token",
                "Of streams, in the last minute. A large model is slower than a small one.",
            ),
            ("tpot", "Time per output token", "Of streams, after the first token, in the last minute."),
            ("e2e", "End to end", "In the last minute."),
            ("queue", "Held here", "In the last minute. High for one model only: its backends are too few."),
        )
    ]
    seen = graph(
        "Requests these are of",
        "short",
        "In the last minute. Percentiles of few requests say little.",
        (
            _OF.now("tidegate_recent_values", ("name",), 'by="model", name=~"$model", window="1m", measure="e2e"'),
            "{{name}}",
        ),
    )
    return Row("Models", (*panels, seen))


def _prompts() -> Row:
    prompt = ("prompt", "version")
    return Row(
        "Prompts",
        (
            table(
                "Where prompts stop being alike",
                "short",
                "Something that changes stands in front of what stays: from this byte on no prefix cache helps. "
                "Moved to the end, so many tokens per request would be reused. `tidegate prefix` shows the place.",
                (_OF.now("tidegate_prefix_break_byte", ("tenant", "prompt", "part", "kind"), how="max"), "byte"),
                (
                    _OF.now("tidegate_prefix_break_share", ("tenant", "prompt", "part", "kind"), how="max"),
                    "share in front",
                ),
                (
                    _OF.now("tidegate_prefix_break_tokens", ("tenant", "prompt", "part", "kind"), how="max"),
                    "tokens to gain",
                ),
                width=16,
            ),
            graph(
                "Prompts compared",
                "cps",
                "Requests whose prompt was compared with the one before.",
                (_OF.rate("tidegate_prefix_looked_at_total"), "compared"),
            ),
            graph(
                "Named prompts",
                "reqps",
                "Requests by prompt, version and how they ended: a new version that fails shows here.",
                (
                    _OF.rate("tidegate_prompt_requests_total", (*prompt, "verdict")),
                    "{{prompt}} {{version}} {{verdict}}",
                ),
            ),
            graph(
                "Their tokens",
                "short",
                "Per second.",
                (
                    _OF.rate("tidegate_prompt_tokens_total", (*prompt, "direction")),
                    "{{prompt}} {{version}} {{direction}}",
                ),
            ),
            graph(
                "Their latency, p95",
                "s",
                "First token of streams, whole answers, and putting the prompt in front.",
                (_OF.quantile(0.95, "tidegate_prompt_ttft_seconds", prompt), "{{prompt}} {{version}}, first token"),
                (_OF.quantile(0.95, "tidegate_prompt_e2e_seconds", prompt), "{{prompt}} {{version}}, end to end"),
                (_OF.quantile(0.95, "tidegate_prompt_assembly_seconds", prompt), "{{prompt}} {{version}}, assembly"),
            ),
            graph(
                "Edited prompts",
                "cps",
                "Lines that `prompts.strip` took out, messages that `prompts.history` cut.",
                (_OF.rate("tidegate_prompt_lines_stripped_total", ("class",)), "{{class}}, lines"),
                (_OF.rate("tidegate_prompt_messages_cut_total", ("class",)), "{{class}}, messages"),
            ),
            graph(
                "Short answers first",
                "cps",
                "Short answers given, requests to expand one, and those for one that is not kept (unknown).",
                (_OF.rate("tidegate_short_first_total", ("what",)), "{{what}}"),
            ),
        ),
    )


def _pipelines() -> Row:
    return Row(
        "Pipelines and forms",
        (
            graph(
                "Stages",
                "s",
                "Mean time of a request in each stage, of clients that report their stages: what to make faster first.",
                (_OF.mean("tidegate_stage_seconds", ("stage",)), "{{stage}}"),
                stacked=True,
            ),
            graph(
                "Stages over their budget",
                "cps",
                "Requests in which a stage took longer than `stages` allows.",
                (_OF.rate("tidegate_stage_budget_exceeded_total", ("stage",)), "{{stage}}"),
            ),
            graph(
                "Budgets of stages",
                "s",
                "As configured.",
                (_OF.now("tidegate_stage_budget_seconds", ("stage",), how="max"), "{{stage}}"),
            ),
            graph(
                "Caches of stages",
                "percentunit",
                "Share of looks that were hits, as clients report them.",
                (
                    f"{_OF.rate('tidegate_stage_cache_lookups_total', ('stage',), _HIT)} / "
                    f"{_OF.rate('tidegate_stage_cache_lookups_total', ('stage',))}",
                    "{{stage}}",
                ),
            ),
            graph(
                "Reports that said nothing",
                "cps",
                "Entries of stage reports that were ignored, by why.",
                (_OF.rate("tidegate_stage_entries_ignored_total", ("reason",)), "{{reason}}"),
            ),
            graph(
                "Answers that must have a form",
                "reqps",
                "What was found of them: valid, or what was wrong.",
                (_OF.rate("tidegate_structured_answers_total", ("model", "verdict")), "{{model}} {{verdict}}"),
            ),
            graph(
                "Repairs of them",
                "reqps",
                "Wrong ones that were asked for once more, by how that went.",
                (_OF.rate("tidegate_structured_repairs_total", ("model", "result")), "{{model}} {{result}}"),
            ),
            graph(
                "Checking a form, p95",
                "s",
                "From the answer to what was found.",
                (_OF.quantile(0.95, "tidegate_structured_check_seconds"), "p95"),
            ),
        ),
    )


def usage() -> Dashboard:
    """All of it."""
    usage_of = 'tidegate_usage_requests_total{instance=~"$instance"}'
    return Dashboard(
        "tidegate-usage",
        "Tidegate: tenants and models",
        "Who uses what, what of it is served, and what prompts and pipelines are like.",
        (
            ("instance", "label_values(tidegate_build_info, instance)"),
            ("model", f"label_values({usage_of}, model)"),
            ("tenant", f"label_values({usage_of}, tenant)"),
        ),
        (_tenants(), _models(), _prompts(), _pipelines(), batches()),
    )
