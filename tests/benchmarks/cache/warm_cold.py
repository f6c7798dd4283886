"""Warm and cold: conversations through a proxy that keeps answers, before engines with prefix caches.

    python -m tests.benchmarks.cache.warm_cold [--concurrency 4] [--requests 200] [--engine URL]…

`tidegate bench --cache both` asks for prompts that no cache has seen, then for prompts that were asked once before. Two
simulated engines; on a GPU host name your own. Writes `results/`: both runs, and their report, which never mixes them.
"""

import sys
from contextlib import ExitStack

from tests.benchmarks.recipe import fresh, parser, proxy, report, results, sims, tidegate

RESULTS = results(__file__)


def main() -> int:
    """Measures, writes."""
    options = parser(__doc__)
    options.add_argument("--concurrency", default="4")
    options.add_argument("--requests", default="200")
    options.add_argument("--engine", action="append", default=[], help="URL of one of your own, again for each")
    asked = options.parse_args()
    with ExitStack() as stack:
        urls = asked.engine or stack.enter_context(sims(2, "--model", "sim"))
        backends = [{"url": url} for url in urls]
        kept = {"size": "64MiB"}
        for name, more in (("no cache of answers", {}), ("cache of answers", {"cache": kept})):
            run = fresh(RESULTS / name.replace(" ", "-"))
            with proxy({"backends": backends, **more}) as one:
                words = ["--url", one.url, "--admin", one.admin, "--workload", "multi-turn", "--cache", "both"]
                load = ["--concurrency", asked.concurrency, "--requests", asked.requests]
                tidegate("bench", *words, *load, "--server", name, "--out", str(run))
    folders = sorted(RESULTS.glob("*/*/run.json"))
    report([one.parent for one in folders], RESULTS / "report", title="Warm and cold", slo="ttft=100ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
