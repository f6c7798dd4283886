"""Every number of `/status`, and so of the page, `tidegate status` and `top`, is that of `/metrics` at that moment."""

import math

import pytest

from tests.support.bed import backend_entry
from tests.support.patience import eventually

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}], "stream": True}
CONFIG = {
    "classes": [{"name": "chats", "slo": {"ttft": "1ms"}}, {"name": "calm", "slo": {"ttft": "30s"}}],
    "cache": {"size": "16MiB"},
}
TOTALS = {
    "backfill": "tidegate_backfill_jobs",
    "bodies_b": "tidegate_body_memory_bytes",
    "bodies_limit_b": "tidegate_body_memory_limit_bytes",
    "client_connections": "tidegate_client_connections",
    "demoted": "tidegate_demoted_total",
    "ejections": "tidegate_ejections_total",
    "hedges": "tidegate_hedges_total",
    "hedges_won": "tidegate_hedges_won_total",
    "hedging": "tidegate_hedging_jobs",
    "held": "tidegate_held_jobs",
    "held_b": "tidegate_held_bytes",
    "in_flight": "tidegate_backend_in_flight",
    "preempted": "tidegate_preempted_total",
    "retries": "tidegate_retries_total",
}
"""Of `totals`; the others are one sum."""
BACKEND = {
    "backlog_s": "backlog_seconds",
    "busy": "busy_total",
    "decode_slowness": "decode_slowness",
    "decoding": "decoding",
    "duty": "duty",
    "foreign": "foreign_requests",
    "in_flight": "in_flight",
    "kv_tokens": "kv_tokens",
    "kv_used_tokens": "kv_used_tokens",
    "learned_prefill_tokens_per_s": "learned_prefill_tokens_per_second",
    "learned_tpot_s": "learned_tpot_seconds",
    "misconfigured": "misconfigured_total",
    "permits": "permits",
    "places": "places",
    "quota_requests_left": "quota_requests",
    "quota_tokens_left": "quota_tokens",
    "prefill_tokens_per_s": "prefill_tokens_per_second",
    "prefix_blocks": "prefix_blocks",
    "seats": "seats",
    "share": "share",
    "slowness": "slowness",
    "tightest_tpot_s": "tightest_tpot_seconds",
    "ttft_coverage": "ttft_coverage",
    "ttft_error": "ttft_error",
    "ttft_samples": "ttft_samples",
}
BACKEND_ALONE = {"ejected_for_s", "paused_for_s", "service_s", "failures_in_a_row", "order", "context_tokens"}
"""Numbers that no metric tells."""
POOL = {
    "alarms": "refusal_alarms_total",
    "predicted_wait_s": "predicted_wait_seconds",
    "ttft_coverage": "ttft_coverage",
    "ttft_error": "ttft_error",
    "utilisation": "utilisation",
}
MOVES = {"utilisation", "duty", "kv_used_tokens", "share", "prefill_tokens_per_s", "predicted_wait_s"}
"""With time, though nothing happens."""


def numbers(told):
    """Names of what is a number; what is null is not known, and not in the metrics either."""
    return {name for name, value in told.items() if isinstance(value, int | float) and not isinstance(value, bool)}


def same(name, shown, metric):
    room = 0.05 if name in MOVES else 1e-9
    return math.isclose(shown, metric, rel_tol=room, abs_tol=room) or f"{name}: {shown} is not {metric}"


@pytest.fixture
def busy(start_backend, start_proxy):
    """Two backends after some requests of every kind, at rest; each answer is another's cached one, or is not."""
    quota = {"requests_per_minute": 1000, "tokens_per_minute": 1_000_000}
    named = (("alpha", "one"), ("beta", "two"))
    backends = [backend_entry(start_backend(), name, pool=pool, **quota) for name, pool in named]
    proxy = start_proxy({"backends": backends, **CONFIG})
    for name in ("chats", "calm", "calm", "bulk", "interactive"):
        proxy.ask("POST", PATH, CHAT, [("x-tidegate-class", name), ("x-fake", "stream 5 0.005")])
    for _ in range(2):
        proxy.ask("POST", PATH, {**CHAT, "temperature": 0, "stream": False})
    proxy.ask("POST", PATH, CHAT, [("x-fake", "reset")])
    proxy.ask("POST", PATH, CHAT, [("x-fake", "status 500 broke"), ("x-tidegate-class", "calm")])
    eventually(lambda: proxy.admin("/status").json()["decisions_seq"] == 9, "nine decisions")
    eventually(lambda: proxy.admin("/status").json()["totals"]["in_flight"] == 0, "rest")
    return proxy


def test_totals(busy):
    totals, metrics = busy.admin("/status").json()["totals"], busy.metrics()
    told_otherwise = {"offered", "finished", "refused", "cancelled", "prefix_tokens_predicted", "prefix_tokens_actual"}
    assert numbers(totals) == TOTALS.keys() | told_otherwise
    found = {name: same(name, totals[name], metrics.total(metric)) for name, metric in TOTALS.items()}
    assert found == dict.fromkeys(found, True)
    assert totals["offered"] == totals["finished"] + totals["refused"] + totals["cancelled"]
    for what in ("predicted", "actual"):
        hits = metrics.total("tidegate_prefix_hit_tokens_total", what=what)
        assert same(what, totals[f"prefix_tokens_{what}"], hits) is True


def test_backends_and_pools(busy):
    status, metrics = busy.admin("/status").json(), busy.metrics()
    for kind, named, alone in (("backend", BACKEND, BACKEND_ALONE), ("pool", POOL, set())):
        for label, one in status[f"{kind}s"].items():
            assert numbers(one) <= named.keys() | alone, "a number that nobody compares"
            found = {
                name: same(name, one[name], metrics.total(f"tidegate_{kind}_{named[name]}", **{kind: label}))
                for name in numbers(one) - alone
            }
            assert found == dict.fromkeys(found, True)
            assert len(found) >= len(named) - 6, "most of them are known"
    for label, one in status["backends"].items():
        assert metrics.total("tidegate_backend_state", backend=label, state=one["state"]) == 1


def test_classes(busy):
    status, metrics = busy.admin("/status").json(), busy.metrics()
    assert {"chats", "calm", "bulk", "interactive"} <= status["classes"].keys()
    for label, one in status["classes"].items():
        for measure in ("ttft", "tpot", "e2e", "queue"):
            for percentile, value in one.get(f"{measure}_s", {}).items():
                if percentile != "samples":
                    labels = {"by": "class", "name": label, "window": "5m", "percentile": percentile[1:]}
                    assert value == metrics.total(f"tidegate_recent_{measure}_seconds", **labels)
        for result, count in one.get("ended", {}).items():
            assert count == metrics.total("tidegate_slo_requests_total", result=result, **{"class": label})
        for promise, count in one.get("missed", {}).items():
            assert count == metrics.total("tidegate_slo_missed_total", promise=promise, **{"class": label})
        for tokens in ("throughput_tokens", "goodput_tokens"):
            assert one.get(tokens, 0) == metrics.total(f"tidegate_{tokens}_total", **{"class": label})
        if one.get("attainment") is not None:
            assert one["attainment"] == metrics.total("tidegate_slo_attainment", **{"class": label})


def test_the_cache(busy):
    cache, metrics = busy.admin("/status").json()["cache"], busy.metrics()
    assert cache["stored"] == metrics.total("tidegate_cache_stored_total") == 1
    assert cache["entries"] == metrics.total("tidegate_cache_entries") == 1
    assert cache["used_b"] == metrics.total("tidegate_cache_bytes")
