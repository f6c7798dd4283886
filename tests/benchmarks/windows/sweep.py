"""How long calls may wait for each other: `window.max_wait` from 0 to 50 ms before an engine that runs batches.

    python -m tests.benchmarks.windows.sweep [--waits 0,5,10,20,30,50] [--rate 50,120] [--requests 500] [--engine URL]

Single texts to embed, open loop, before `tidegate sim --arrays tei_l4` (`README.md` says what it models); on a GPU host
name your own engine. The proxy's file is swept by `tidegate bench` itself. Writes `results/`: the run, and its report.
"""

import sys
from contextlib import ExitStack

from tests.benchmarks.recipe import fresh, parser, proxy, report, results, sims, tidegate

RESULTS = results(__file__)


def main() -> int:
    """Measures, writes."""
    options = parser(__doc__)
    options.add_argument("--waits", default="0,5,10,20,30,50", help="ms")
    options.add_argument("--rate", default="50,120", help="calls per second")
    options.add_argument("--requests", default="500", help="of each wait and rate")
    options.add_argument("--engine", default="", help="URL of your own")
    asked = options.parse_args()
    run = fresh(RESULTS / "sweep")
    with ExitStack() as stack:
        url = asked.engine or stack.enter_context(sims(1, "--preset", "fast", "--arrays", "tei_l4"))[0]
        classes = [{"name": "interactive", "window": {"mode": "fixed", "max_wait": "10ms"}}]
        one = stack.enter_context(proxy({"backends": [{"url": url}], "classes": classes}))
        words = ["--url", one.url, "--admin", one.admin, "--workload", "embeddings", "--no-probe"]
        load = ["--rate", asked.rate, "--requests", asked.requests, "--sweep", f"window.max_wait={asked.waits}"]
        tidegate("bench", *words, *load, "--out", str(run))
    report([run], RESULTS / "report", title="Windows: how long calls may wait for each other", slo="e2e=60ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
