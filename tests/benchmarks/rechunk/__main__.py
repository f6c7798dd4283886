"""Re-chunked streams against the same streams as the engine sends them, in pairs: added TTFT, TPOT and CPU.

    python -m tests.benchmarks.rechunk [--requests 120] [--concurrency 8]

Two proxies before one engine of 100 events a second and stream, which says one word or four in an event; one proxy
passes its events on, the other makes one of each token, or of whole words. What of that is the proxy's own code:
`python -m tests.benchmarks.rechunk.per_event`; CPU beside nginx: `python -m tests.benchmarks.overhead`. Writes
`results/`: a run for each, `cpu.csv`, and the report of all.
"""

import csv
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks.cache.loopback import cpu_s
from tests.benchmarks.overhead.load import PROMPT
from tests.benchmarks.recipe import fresh, parser, process, proxy, report, results, tidegate

RESULTS = results(__file__)
EVENTS, GAP_MS = 60, 10
WORDS = (1, 4)
GRANULARITIES = ("token", "text")


def measured(granularity: str, words: int, load: list[str], folder: Path) -> dict[str, Any]:
    """One pair of proxies; CPU µs of each for an event that came in."""
    name = f"{granularity} of {words} a chunk"
    run = fresh(RESULTS / name.replace(" ", "-"))
    asked: dict[str, Any] = {"max_tokens": EVENTS, "presence_penalty": GAP_MS / 1e3, "stream": True}
    body = {"messages": [{"role": "user", "content": PROMPT}], **asked}
    prompts = folder / "prompts.jsonl"
    prompts.write_text(json.dumps({"body": body}) + "\n")
    with ExitStack() as stack:
        command = [sys.executable, "-m", "tests.benchmarks.overhead.engine", str(words), "1"]
        _, line = stack.enter_context(process(command, "ready at", folder / "engine.log"))
        theirs, ours = (
            stack.enter_context(proxy(_configuration(line.split()[-1], each))) for each in ("engine", granularity)
        )
        began = cpu_s(ours.pid), cpu_s(theirs.pid)
        pair = ["--url", ours.url, "--direct", theirs.url, "--admin", ours.admin, "--no-probe", "--no-stages"]
        labels = ["--server", name, "--direct-server", f"engine's own, {words} a chunk", "--warmup", "0", "--aa", "0"]
        tidegate("bench", *pair, *labels, "--workload", str(prompts), *load, "--out", str(run))
        used = cpu_s(ours.pid) - began[0], cpu_s(theirs.pid) - began[1]
    told = json.loads((run / "run.json").read_text())
    events = told["cells"][0]["done"] / 2 * EVENTS
    row: dict[str, Any] = {"granularity": granularity, "words_a_chunk": words, "pairs": int(events / EVENTS)}
    row |= {"cpu_us_per_event": used[0] / events * 1e6, "cpu_us_per_event_engine": used[1] / events * 1e6}
    for one in told["comparisons"]:
        if one["statistic"] == "median":
            for metric, found in one["differences"].items():
                row |= {
                    f"added_{metric}": found["value"],
                    f"{metric}_low": found["low"],
                    f"{metric}_high": found["high"],
                }
    return row


def _configuration(engine: str, granularity: str) -> dict[str, Any]:
    stream = {"granularity": granularity}
    return {"backends": [{"url": engine}], "classes": [{"name": "interactive", "stream": stream}]}


def main() -> int:
    """Measures, writes."""
    options = parser(__doc__)
    options.add_argument("--requests", default="120", help="pairs of each")
    options.add_argument("--concurrency", default="8")
    asked = options.parse_args()
    load, rows = ["--requests", asked.requests, "--concurrency", asked.concurrency], []
    with tempfile.TemporaryDirectory() as folder:
        for words in WORDS:
            for granularity in GRANULARITIES:
                rows.append(measured(granularity, words, load, Path(folder)))
                print(rows[-1], file=sys.stderr, flush=True)
    with (RESULTS / "cpu.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({key: f"{v:.4g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)
    folders = [file.parent for file in sorted(RESULTS.glob("*/run.json"))]
    report(folders, RESULTS / "report", title="Re-chunked streams")
    return 0


if __name__ == "__main__":
    sys.exit(main())
