"""Statuses to be shown: an ordinary one, and what may be odd about one."""

from typing import Any

HOSTILE = "\x1b[2J\x1b]0;owned\x07<b>[bold red]x[/]\u202egnp.exe\r\n{y}"


def backend(**more: Any) -> dict[str, Any]:
    """A healthy one."""
    return {
        "pool": "default",
        "state": "healthy",
        "leaving": False,
        "share": 1.0,
        "in_flight": 3,
        "permits": None,
        "places": 6,
        "seats": 8,
        "kv_used_tokens": 500.0,
        "kv_tokens": 1000.0,
        "backlog_s": 0.0,
        "learned_prefill_tokens_per_s": 11910.78,
        "learned_tpot_s": 0.021,
        "slowness": 1.0,
        "decode_slowness": 1.0,
        "ttft_samples": 16,
        "failures_in_a_row": 0,
        **more,
    }


def lane(**more: Any) -> dict[str, Any]:
    """A class with traffic."""
    return {
        "bulk": False,
        "promise": {"ttft_s": 0.2, "tpot_s": 0.05},
        "in_flight": 5,
        "held": 2,
        "gathering": 1,
        "longest_wait_s": 1.25,
        "requests_per_s": 2.5,
        "tokens_per_s": 122.3,
        "good_tokens_per_s": 61.1,
        "ttft_s": {"p50": 0.0406, "p95": 0.2521, "p99": 0.3623, "samples": 27},
        "tpot_s": {"p50": 0.0203, "p95": 0.0214, "p99": 0.022, "samples": 27},
        "e2e_s": {"p50": 1.12, "p95": 1.53, "p99": 1.54, "samples": 27},
        "ended": {"kept": 20, "late": 6, "refused": 1},
        "attainment": 20 / 27,
        **more,
    }


def budget(**more: Any) -> dict[str, Any]:
    """A service level objective."""
    return {
        "objective": 0.995,
        "attainment": 0.9931,
        "error_budget_left": 0.0812,
        "burn_rates": {"1h": 1.4},
        "exhausted_in_s": 7200.0,
        "alert": "page",
        **more,
    }


def decision(seq: int, **more: Any) -> dict[str, Any]:
    """A request that ended well."""
    return {
        "seq": seq,
        "ended_at": 1_795_966_696.9,
        "class": "interactive",
        "model": "demo",
        "backend": "alpha",
        "verdict": "served",
        "why": "",
        "queued_s": 0.0001,
        "ttft_s": 0.0625,
        "tpot_s": 0.0187,
        "e2e_s": 1.089,
        "output_tokens": 56,
        "missed": [],
        **more,
    }


def status(**more: Any) -> dict[str, Any]:
    """All of it."""
    return {
        "schema": 1,
        "version": "0.1.0",
        "build": "compiled",
        "instance": "3e182ebd",
        "listen": "http://127.0.0.1:8080",
        "policy": "goodput",
        "at": 1_795_966_697.0,
        "started_at": 1_795_966_097.0,
        "not_ready": None,
        "config": {
            "source": "routing.yaml",
            "hash": "0123456789abcdef",
            "loaded_at": 1_795_966_097.0,
            "last_attempt": {"at": 1_795_966_097.0, "trigger": "start", "successful": True, "errors": []},
            "restart_needed": [],
            "reloads": {},
        },
        "totals": {
            "offered": 46,
            "finished": 35,
            "refused": 1,
            "cancelled": 0,
            "in_flight": 8,
            "held": 2,
            "backfill": 1,
            "retries": 3,
            "hedges": 4,
            "preempted": 5,
            "bodies_b": 95002,
            "client_connections": 13,
        },
        "classes": {
            "interactive": lane(),
            "bulk": lane(bulk=True, promise={}, in_flight=3, held=0, ended={"kept": 8}, attainment=1.0),
        },
        "slos": {"chat": budget()},
        "backends": {"alpha": backend(), "beta": backend(pool="far", state="ejected", ejected_for_s=12.0)},
        "pools": {
            "default": {"enforces": True, "utilisation": 0.22, "predicted_wait_s": 0.0},
            "far": {"enforces": False, "utilisation": 0.02, "predicted_wait_s": 0.001},
        },
        "models": ["demo"],
        "cache": {
            "size_b": 2**28,
            "used_b": 2**20,
            "entries": 12,
            "stored": 13,
            "evicted": 1,
            "expired": 0,
            "waiting": 2,
            "remote": {},
        },
        "decisions_seq": 3,
        "decisions": [decision(3, missed=["ttft"]), decision(2, verdict="shed", backend="", why="ttft"), decision(1)],
        "notable": [decision(2, verdict="shed", backend="", why="ttft")],
        **more,
    }


EMPTY = {"schema": 1, "instance": "x", "classes": {}, "backends": {}, "totals": {}, "config": {}}
NONSENSE: list[dict[str, Any]] = [
    EMPTY,
    {"classes": [], "backends": None, "totals": 3, "config": "x", "slos": [1], "pools": "p", "decisions": {}},
    {"classes": {"a": None, "b": {"ttft_s": 3, "promise": "x", "ended": [], "tokens_per_s": "much"}}},
    {"backends": {"a": None, "b": {"state": 4, "in_flight": True, "kv_tokens": 0, "slowness": float("nan")}}},
    {"at": 1e300, "started_at": "never", "decisions": [None, {"ended_at": -1e300, "missed": 5, "verdict": []}]},
    {"at": float("inf"), "totals": {"held": 10**400}, "slos": {"s": {"burn_rates": 1, "exhausted_in_s": -1}}},
    {"config": {"last_attempt": {"successful": False, "errors": None}, "restart_needed": {}, "reloads": 1}},
    {"cache": {"size_b": None, "remote": {HOSTILE: HOSTILE}}, "not_ready": {"a": HOSTILE}},
]
