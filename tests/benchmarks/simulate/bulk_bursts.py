"""Bulk that comes in bursts and is due, beside chats, in overload and from cold: who is served in time?

    python -m tests.benchmarks.simulate.bulk_bursts --loads 1,1.5,2 --seeds 1,2,3 --deadline 15s

Two low-latency engines and two wide ones; chats of several turns (TTFT 200 ms, TPOT 40 ms) bring 45 % of the tokens,
bulk the others, in bursts: each job is due after 3 s and 50 ms per token of its answer, which nobody but the report
knows. The proxy is told what an operator would write for the class: `--deadline`, or none. 40 s, from cold.

Owns the setting, and plays it on virtual time.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final

from proxy.config.plain import read
from proxy.core.tenancy.classify import Classifier
from proxy.model.backend import BackendSpec
from proxy.model.classes import ClassSettings, SloSettings, with_built_in
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings
from proxy.report.report import Report, report_of
from proxy.report.run import SimulatedRun
from proxy.sim.engine.spec import EngineSpec
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.references import play_reference
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival, Slo
from proxy.workload.generator import (
    BLOCK_TOKENS,
    ConversationSettings,
    JobSettings,
    LengthMix,
    Workload,
    generate,
)
from tests.benchmarks.simulate.measured import BASELINES, OURS, REFERENCES

LOW_LATENCY: Final = EngineSpec(
    prefill_s_per_token=1 / 12_000,
    prefill_s_per_token2=0.0,
    step_s=0.010,
    step_s_per_sequence=0.0005,
    step_s_per_kv_token=0.0,
    kv_tokens=16_384,
    max_num_seqs=8,
    token_budget=2048,
    max_model_len=8192,
    prefix_tokens=BLOCK_TOKENS,
)
WIDE: Final = replace(
    LOW_LATENCY,
    prefill_s_per_token=1 / 16_000,
    step_s=0.024,
    step_s_per_sequence=0.0003,
    kv_tokens=49_152,
    max_num_seqs=32,
    token_budget=4096,
)
DURATION_S: Final = 40.0
CAPACITY: Final = 11.0
"""Requests per second up to which the reference keeps all bulk and 93 % of the tokens in their SLO."""
CV: Final = 5.0
"""Of the pauses between bulk jobs: some 25 come at once."""
BULK_SHARE: Final = 0.3822
"""Of the requests: with the lengths below, 55 % of the tokens."""
CHAT: Final = Slo(ttft_s=0.2, tpot_s=0.04)
FIRST_S: Final = 3.0
PER_TOKEN_S: Final = 0.05
_CONVERSATIONS: Final = ConversationSettings(
    system_prompts=8,
    system=LengthMix(median=800, spread=0.3, max=2000),
    turns=4,
    user=LengthMix(median=80, spread=0.6, max=600),
    answer=LengthMix(median=110, spread=0.5, max=500),
    pause="4s",
)


def arrivals_at(load: float, seed: int, prompt: int = 2000, duration_s: float = DURATION_S) -> list[Arrival]:
    """The traffic, with what it is due."""
    chats = Workload(
        rate=load * CAPACITY * (1 - BULK_SHARE), duration=f"{duration_s}s", bulk_share=0.0, conversations=_CONVERSATIONS
    )
    jobs = JobSettings(
        prompt=LengthMix(median=prompt, spread=0.4, max=6000), answer=LengthMix(median=240, spread=0.3, max=800)
    )
    bulk = Workload(rate=load * CAPACITY * BULK_SHARE, duration=f"{duration_s}s", bulk_share=1.0, cv=CV, jobs=jobs)
    both = [replace(one, slo=CHAT) for one in generate(chats, seed)]
    both += [replace(one, slo=Slo(e2e_s=FIRST_S + PER_TOKEN_S * one.output_tokens)) for one in generate(bulk, seed)]
    return sorted(both, key=lambda one: one.at)


def cluster() -> list[SimBackend]:
    """Two pools of two."""
    pools = (("low-latency", LOW_LATENCY), ("high-throughput", WIDE))
    return [
        SimBackend(BackendSpec(f"{pool}-{i}", pool=pool, any_model=True), engine)
        for pool, engine in pools
        for i in (1, 2)
    ]


class ByClass:
    """The proxy sees no deadline in a request: only its class has one."""

    def __init__(self, seen: SeenByProxy) -> None:
        self._seen = seen

    def job(self, job_id: int, arrival: Arrival, now: float) -> Job:
        """The Job of one arrival."""
        return self._seen.job(job_id, replace(arrival, slo=replace(arrival.slo, e2e_s=None)), now)

    def finished(self, arrival: Arrival) -> None:
        """An answer is complete."""
        self._seen.finished(arrival)


def play(name: str, arrivals: Sequence[Arrival], seed: int, deadline_s: float | None) -> SimulatedRun:
    """One contender."""
    bulk = ClassSettings(name="bulk", slo=SloSettings(deadline=deadline_s))
    jobs = ByClass(SeenByProxy(seed, BLOCK_TOKENS, Classifier(with_built_in((bulk,)), (), None)))
    if name == REFERENCES[0]:
        return play_reference(cluster(), arrivals, jobs)
    policy, _, mode = name.partition("/")
    settings = read(SchedulingSettings, {"policy": policy, "admission": {"mode": mode or None}})
    return World(cluster(), build_scheduler(cluster(), None, seed, scheduling=settings), jobs=jobs).play(arrivals)


def line(name: str, load: float, seed: int, report: Report, mark: Report) -> str:
    """What is read."""
    chats, bulk = report.by_class["interactive"], report.by_class["bulk"]
    marked, heap = mark.by_class["interactive"], mark.by_class["bulk"]
    return (
        f"{name:20} {load:g} x seed {seed}: tokens {report.total.good_tokens / max(1, mark.total.good_tokens):.3f} of "
        f"the reference, chats {100 * chats.goodput:.1f} % against {100 * marked.goodput:.1f} %, bulk "
        f"{100 * bulk.goodput:.1f} % against {100 * heap.goodput:.1f} %, bulk late {bulk.late_e2e}, refused "
        f"{bulk.refused} of {bulk.requests}"
    )


def main() -> int:
    """Prints a line per run, and the means."""
    options = _options()
    ratios: dict[tuple[str, float], list[float]] = {}
    for load in options.loads:
        for seed in options.seeds:
            arrivals = arrivals_at(load, seed, options.prompt)
            mark = report_of(play(REFERENCES[0], arrivals, seed, options.deadline))
            for name in options.policies:
                report = report_of(play(name, arrivals, seed, options.deadline))
                print(line(name, load, seed, report, mark), flush=True)
                ratios.setdefault((name, load), []).append(report.total.good_tokens / mark.total.good_tokens)
    for (name, load), found in ratios.items():
        print(f"{name:20} {load:g} x: {fmean(found):.3f} ({min(found):.3f}-{max(found):.3f})")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Bulk in bursts beside chats, in overload.")
    parser.add_argument(
        "--policies", type=lambda text: (OURS, *BASELINES) if text == "all" else text.split(","), default=[OURS]
    )
    parser.add_argument("--loads", type=lambda text: [float(one) for one in text.split(",")], default=[1, 1.5, 2])
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--deadline", type=lambda text: None if text == "none" else float(text), default=15.0)
    parser.add_argument("--prompt", type=int, default=2000, help="median tokens of a bulk prompt")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
