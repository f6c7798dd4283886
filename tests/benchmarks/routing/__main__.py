"""Policies compared: the same conversations before the same four unlike engines, a proxy started anew for each policy.

    python -m tests.benchmarks.routing [--policies goodput,round_robin,…] [--concurrency 24] [--requests 150]
                                       [--engine URL]…

Simulated engines (`tidegate sim`, low latency): two as fast as modelled, one at half, one at a quarter of that speed,
behind one name. On a GPU host name your own with `--engine`. Writes `results/`: a run for each policy, the report of
all. A policy that is measured again replaces its run; the report is of all that are there.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.benchmarks.recipe import fresh, parser, proxy, report, results, sims, tidegate

RESULTS = results(__file__)
POLICIES = ("goodput", "prefix_cache_aware", "least_outstanding", "power_of_two", "round_robin")
SPEEDS = ("1", "1", "0.5", "0.25")
SLO = "ttft=500ms,tpot=40ms"


@contextmanager
def engines(own: Sequence[str]) -> Iterator[list[str]]:
    """URLs: the user's own, or four simulated ones."""
    if own:
        yield list(own)
        return
    with ExitStack() as stack:
        yield [stack.enter_context(sims(1, "--model", "sim", "--speed", speed))[0] for speed in SPEEDS]


def measured(policy: str, own: Sequence[str], load: Sequence[str]) -> None:
    """One policy, before engines whose caches are empty."""
    folder = fresh(RESULTS / policy)
    with engines(own) as urls:
        configuration = {
            "routing": {"policy": policy},
            "backends": [{"name": f"engine-{number}", "url": url} for number, url in enumerate(urls)],
            "classes": [{"name": "interactive", "slo": {"ttft": "500ms", "tpot": "40ms"}}],
        }
        with proxy(configuration) as one:
            words = ["--url", one.url, "--admin", one.admin, "--workload", "multi-turn", "--seed", "7", *load]
            tidegate("bench", *words, "--server", policy, "--cache", "cold", "--aa", "0", "--out", str(folder))


def main() -> int:
    """Measures, writes."""
    options = parser(__doc__)
    options.add_argument("--policies", default=",".join(POLICIES))
    options.add_argument("--concurrency", default="24")
    options.add_argument("--requests", default="150", help="for each policy and load")
    options.add_argument("--engine", action="append", default=[], help="URL of one of your own, again for each")
    asked = options.parse_args()
    for policy in asked.policies.split(","):
        measured(policy, asked.engine, ["--concurrency", asked.concurrency, "--requests", asked.requests])
    folders = [RESULTS / policy for policy in POLICIES if (RESULTS / policy / "run.json").exists()]
    report(folders, RESULTS / "report", title="Routing policies", slo=SLO)
    return 0


if __name__ == "__main__":
    sys.exit(main())
