"""What one decision costs: `submit` of a chat with a known prefix, by number of backends, policy and load.

    python -m tests.benchmarks.decision

Processor time per submit, and per finished request with all it teaches; the best of several rounds.
"""

import random
import sys
import time

from proxy.config.plain import read
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Dispatch, Finished, FirstToken
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings

ROUNDS = 3
JOBS = 2000


def scheduler(count: int, policy: str) -> Scheduler:
    return Scheduler(
        [BackendSpec(f"b{i}", any_model=True, kv_tokens=300_000) for i in range(count)],
        retries=RetrySettings(),
        hold=HoldSettings(),
        health=HealthSettings(),
        rng=random.Random(1),
        scheduling=read(SchedulingSettings, {"policy": policy, "admission": {"mode": "enforce"}}),
    )


def chat(number: int, overload: bool) -> Job:
    conversation = number % 500
    return Job(
        number,
        "m",
        stream=True,
        prompt_tokens=2000,
        tenant=f"t{number % 20}",
        slo_ttft_s=0.001 if overload else 5.0,
        slo_tpot_s=0.001 if overload else 0.5,
        prefix=tuple(range(8)) + tuple(range(1000 * conversation, 1000 * conversation + 8)),
        prefix_block_tokens=128,
    )


def measure(count: int, policy: str, overload: bool) -> tuple[float, float]:
    """Microseconds per submit, and per first token and end together."""
    best = [1e9, 1e9]
    for _ in range(ROUNDS):
        one, now, out = scheduler(count, policy), 0.0, []
        spent, learning = 0.0, 0.0
        for number in range(JOBS):
            now += 0.3 / count
            job = chat(number, overload and number > 4 * count)
            start = time.process_time()
            commands = one.submit(job, now)
            spent += time.process_time() - start
            out += [c.attempt for c in commands if isinstance(c, Dispatch)]
            if len(out) > 4 * count:
                attempt = out.pop(0)
                start = time.process_time()
                one.observe(FirstToken(attempt), now)
                one.observe(Finished(attempt, 2000, 1024, 60), now + 1e-6)
                learning += time.process_time() - start
        best = [min(best[0], spent / JOBS), min(best[1], learning / JOBS)]
    return best[0] * 1e6, best[1] * 1e6


def main() -> None:
    policies = sys.argv[1:] or ["goodput", "weighted_scores", "least_outstanding"]
    print("policy               backends  load       submit µs  end µs")
    for policy in policies:
        for count in (1, 4, 16, 64, 256, 1024):
            for overload in (False, True):
                submit, end = measure(count, policy, overload)
                load = "overload" if overload else "normal"
                print(f"{policy:20} {count:8}  {load:9} {submit:10.1f} {end:7.1f}")


if __name__ == "__main__":
    main()
