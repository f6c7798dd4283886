"""The measurements that say whether the scheduler is good enough: what is played, and what has to come out.

Owns the list. Each entry is a command line of `tidegate simulate`, so that anybody can repeat it by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

OURS = "goodput"
BASELINES = (
    "round_robin",
    "random",
    "power_of_two",
    "least_outstanding",
    "prefix_cache_aware",
    "weighted_scores",
    "kv_cost",
    "least_pending_prefill",
)
ABLATIONS = ("goodput/admission.mode=enforce", "goodput/admission.mode=off", "least_outstanding/admission.mode=enforce")
REFERENCES = ("greedy_informed", "priced_informed")
HEDGES = tuple(f"tests/benchmarks/simulate/hedge_{after}.yaml" for after in ("p95", "p99", "500ms"))
MOONCAKE = "mooncake_synthetic_trace.jsonl"
AZURE = "AzureLLMInferenceTrace_code.csv"


@dataclass(frozen=True)
class Measurement:
    """One command line and its aim."""

    name: str
    arguments: tuple[str, ...]
    against: tuple[str, ...] = BASELINES
    trace: str | None = None
    """A file in the directory of traces."""
    aim: str = ""
    """In words, for the table."""
    group: str | None = None
    """Of what the aim speaks: each `tenant`, each `class`; None: all requests."""
    requests: int = 4000
    """About; for the estimate of how long it takes."""


def _mooncake(name: str, speed: float, engines: str = "16xmooncake16", **more: object) -> Measurement:
    arguments = ("--engines", engines, "--speed", str(speed))
    return Measurement(name, arguments, trace=MOONCAKE, requests=3993, **more)  # type: ignore[arg-type]


def _azure(speed: float) -> Measurement:
    arguments = ("--engines", "4xmooncake16", "--speed", str(speed))
    aim = "best of all, or within 0.5 points where all are at 99 %"
    return Measurement(f"azure-{speed:g}", arguments, (*BASELINES, *REFERENCES), AZURE, aim, requests=8819)


def _gray(name: str, engines: str, aim: str) -> Measurement:
    """Chats, all of whose answers are short of capacity nowhere: what is lost, one slow backend loses."""
    arguments = ("--engines", engines, "--workload", "chat", "--rate", "20", "--duration", "180s")
    against = (*HEDGES, "least_outstanding", "weighted_scores")
    return Measurement(name, (*arguments, "--slo", "interactive:ttft=2s,tpot=200ms"), against, aim=aim)


CAPACITY = 6.0
"""Requests per second of `mixed` at which the reference keeps 95 % on two low-latency and two high-throughput engines:
93 to 96 % of 150 s, seeds 1 to 4; 95.5 % at least from 250 s on."""


def mixed(load: float) -> Measurement:
    rate = f"{CAPACITY * load:g}"
    arguments = (
        *("--engines", "2xlow_latency,2xhigh_throughput", "--workload", "mixed", "--rate", rate),
        *("--duration", "300s", "--slo", "interactive:ttft=200ms,tpot=40ms;bulk:e2e=120s"),
    )
    aim = "tokens >= .96 of the reference's, chats within 3 points of its; from 1.0 on above every baseline"
    against, requests = (*BASELINES, *REFERENCES), int(CAPACITY * load * 300)
    return Measurement(f"mixed-{load:g}", arguments, against, aim=aim, group="class", requests=requests)


SERVEGEN = {
    "many-tenants": (8, 42.1, 5316, (0.6, 0.8, 1.0, 1.2, 1.4, 2.4)),
    "reasoning-mix": (8, 23.1, 2968, (0.6, 0.8, 1.0, 1.2, 1.4, 2.4)),
    "reasoning-long": (4, 84.2, 2007, (0.6, 0.8, 1.0, 1.2, 1.4, 2.4)),
    "short-bursts": (8, 202.0, 4392, (0.8, 1.0, 1.2, 1.8, 2.4)),
}
"""Mixes made from public production traces: engines, the speed that is load 1, requests, loads."""


def _servegen(name: str, load: float) -> Measurement:
    """In the folder of traces or in `servegen` below it."""
    engines, speed, requests, _ = SERVEGEN[name]
    arguments = ("--engines", f"{engines}xmooncake16", "--speed", f"{speed * load:.6g}")
    aim = ">= 99.5 %, none refused, where the best baseline has 99; else >= .97 of the better reference (.92 at 2.4)"
    file = f"servegen/{name}.log.jsonl"
    return Measurement(f"{name}-{load:g}", arguments, (*BASELINES, *REFERENCES), file, aim, requests=requests)


_ALL = (*BASELINES, *ABLATIONS, *REFERENCES)
_FEW = ("goodput/admission.mode=enforce", "least_outstanding", "weighted_scores", "least_pending_prefill", *REFERENCES)
_REFUSED = "refused <= 1 %"

MEASUREMENTS = (
    _mooncake("mooncake-1.0", 1.0, against=_ALL, aim=">= 97 %"),
    _mooncake("mooncake-1.5", 1.5, against=_ALL, aim=">= 92 %, and 5 points above the best baseline"),
    _mooncake("mooncake-2.0", 2.0, against=_ALL, aim=">= 86 %, and 5 points above the best baseline"),
    *(_azure(speed) for speed in (1.0, 2.0, 4.0, 8.0)),
    _mooncake("half-2x-slower", 1.0, "8xmooncake16,8xmooncake16:slower=2", against=_FEW, aim=">= 90 %"),
    _mooncake(
        "one-silently-5x-slower", 0.8, "15xmooncake16,1xmooncake16:slower=5,from=120s", against=_FEW, aim=">= 95 %"
    ),
    _gray("gray-chat", "7xhigh_throughput,1xhigh_throughput:slower=5,from=60s", "hedges: P99 TTFT lower, >= 99 %"),
    _gray("gray-chat-50x", "7xhigh_throughput,1xhigh_throughput:slower=50,from=60s", "the same, and nearly hung"),
    _gray("gray-none", "8xhigh_throughput", "hedges cost next to nothing where nobody is slow"),
    Measurement(
        "one-tenant-4x",
        (
            *("--engines", "16xmooncake16", "--workload", "tenants", "--rate", "40", "--duration", "200s"),
            *("--slo", "interactive:ttft=2s,prefill=3,tpot=100ms;bulk:e2e=300s"),
        ),
        _FEW,
        aim="the worst of the other tenants >= 93 %",
        group="tenant",
    ),
    _mooncake("refused-0.7", 0.7, against=_FEW, aim=_REFUSED),
    _mooncake("refused-0.7-speculation", 0.7, "16xmooncake16:speculation=1.5", against=_FEW, aim=_REFUSED),
    _mooncake("refused-0.7-chunks-of-8192", 0.7, "16xmooncake16:token_budget=8192", against=_FEW, aim=_REFUSED),
    _mooncake(
        "refused-0.6-preemption",
        0.6,
        "16xmooncake16:kv_tokens=196608,max_model_len=196608",
        against=_FEW,
        aim=_REFUSED,
    ),
    _mooncake("metrics-silent", 1.0, "16xmooncake16:metrics=silent", against=_FEW, aim="as with metrics"),
    _mooncake("metrics-garbage", 1.0, "16xmooncake16:metrics=garbage", against=_FEW, aim="as with metrics"),
    *(mixed(load) for load in (0.5, 1.0, 1.5, 2.0)),
    *(_servegen(name, load) for name, (*_, loads) in SERVEGEN.items() for load in loads),
    Measurement(
        "chat-and-bulk",
        (
            *("--engines", "8xlow_latency,8xhigh_throughput", "--workload", "mixed", "--rate", "60"),
            *("--duration", "200s", "--slo", "interactive:ttft=200ms,tpot=40ms;bulk:e2e=120s"),
        ),
        (*BASELINES, *REFERENCES),
        aim="best of all",
        group="class",
    ),
    Measurement(
        "bursts",
        (
            *("--engines", "8xlow_latency,8xhigh_throughput", "--workload", "bursts", "--rate", "60"),
            *("--duration", "200s", "--slo", "interactive:ttft=500ms,tpot=60ms;bulk:e2e=120s"),
        ),
        (*BASELINES, *REFERENCES),
        aim="best of all",
        group="class",
    ),
)

QUICK_REQUESTS = 800
QUICK_AGAINST = ("least_outstanding", "weighted_scores", "least_pending_prefill", *REFERENCES)
RATES = {OURS: 700.0, **dict.fromkeys(REFERENCES, 800.0)}
"""Simulated requests per second, uncompiled, on one core of two that others use as well…"""
RATE = 2500.0
"""…and of policies without admission."""
COMPILED = 2.5
"""So many times as quick when compiled."""


def estimate_s(measurement: Measurement, against: Sequence[str], seeds: int, compiled: bool, most: int | None) -> float:
    """About how long it takes, seconds; `most`: requests that are played of it."""
    requests = min(measurement.requests, most or measurement.requests)
    per_request = sum(1 / RATES.get(name.partition("/")[0], RATE) for name in (OURS, *against))
    return seeds * requests * per_request / (COMPILED if compiled else 1.0)
