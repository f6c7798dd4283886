"""What a proxy costs: this one beside nginx, the bare engine and the routers of the package index, in one run.

    python -m tests.benchmarks.overhead [--only short,rate] [--targets nginx,tidegate] [--rounds 3] [--seconds 3]

Peers are installed by `python -m tests.benchmarks.overhead.peers`. What each suite does and what its figures mean:
README.md. Writes `results/`: `figures.csv` (a row for each figure of each round), `run.json`, `report.md`. A suite that
is measured again replaces its rows. Measure a compiled program: `TIDEGATE_PROGRAM` names one.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.overhead import peers, tables
from tests.benchmarks.overhead.load import PROMPT
from tests.benchmarks.overhead.tables import DIRECT, Figure
from tests.benchmarks.overhead.targets import OTHER_CORES, TARGET_CORES, Running, kinds, missing, running
from tests.benchmarks.recipe import parser, process, program, results

RESULTS = results(__file__)
RATE, PAIRS = 100, 400
STREAMS, CHUNKS, GAP_MS = 128, 100, 20
LONG_S = 20.0
"""What takes longer in the first round of a suite is not measured again in it."""
OPEN = 1000
"""Streams at once whose memory is measured."""

Figures = dict[str, float]


class Bench:
    """One engine, a folder for what is thrown away, and what is measured there."""

    def __init__(self, engine: str, folder: Path, seconds: float) -> None:
        self.engine, self.folder, self.seconds = engine, folder, seconds

    def _load(self, target: Running | None, *words: str) -> tuple[dict[str, float], float, float]:
        """What the load saw, the target's CPU seconds in its window, its memory when it begins."""
        url = target.url if target else self.engine
        command = [sys.executable, "-m", "tests.benchmarks.overhead.load", url, *words]
        began = cpu_s = memory_mb = 0.0
        told: dict[str, float] = {}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
            assert load.stdout is not None
            for line in load.stdout:
                if line.startswith("measuring") and target:
                    memory_mb, began = target.memory_mb(), target.cpu_s()
                elif line.startswith("measured") and target:
                    cpu_s = target.cpu_s() - began
                elif line.startswith("{"):
                    told = json.loads(line)
        return told, cpu_s, memory_mb

    def _bench(self, url: str, name: str, *words: str) -> tuple[dict[str, Any], Path]:
        """`run.json` of a run, and its folder."""
        out = self.folder / "runs" / f"{time.monotonic_ns()}"
        command = [program(), "bench", "--url", url, "--out", str(out), "--server", name, "--no-probe", "--no-stages"]
        subprocess.run(
            [*command, "--warmup", "0", "--aa", "0", *words],
            check=False,  # one that loses requests is measured, too
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return json.loads((out / "run.json").read_text()), out

    def _prompts(self, **fields: object) -> str:
        body = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 41, **fields}
        file = self.folder / "prompts.jsonl"
        file.write_text(json.dumps({"body": body}) + "\n")
        return str(file)

    # suites

    def short(self, target: Running | None) -> Figures:
        told, cpu_s, _ = self._load(target, "--seconds", str(self.seconds), "--connections", "32")
        found = {"requests_per_s": told["answers"] / told["seconds"], "errors": told["errors"]}
        found |= {name: told[name] for name in ("p50_ms", "p99_ms")}
        if target and told["answers"]:
            found |= {"cpu_ms": cpu_s / told["answers"] * 1e3, "cores": cpu_s / told["seconds"]}
        return found

    def rate(self, target: Running | None) -> Figures:
        if target is None:
            return {}
        words = ["--direct", self.engine, "--workload", self._prompts(), "--rate", str(RATE), "--requests", str(PAIRS)]
        began = target.cpu_s()
        run, folder = self._bench(target.url, target.name, *words)
        cpu_s = target.cpu_s() - began
        with (folder / "requests.csv").open() as file:
            rows = list(csv.DictReader(file))
        ours = [row for row in rows if row["server"] == target.name]
        direct = sorted(float(row["e2e_ms"]) for row in rows if row["server"] != target.name and row["e2e_ms"])
        found = {"errors": sum(row["success"] != "1" for row in ours), "cpu_ms": cpu_s / len(ours) * 1e3}
        found |= {"direct_p50_ms": direct[len(direct) // 2], "direct_p99_ms": direct[len(direct) * 99 // 100]}
        for one in run["comparisons"]:
            if one["statistic"] in ("median", "p95", "p99") and "e2e_ms" in one["differences"]:
                found[f"added_{one['statistic']}_ms"] = one["differences"]["e2e_ms"]["value"]
        proxied = sorted(float(row["e2e_ms"]) for row in ours if row["e2e_ms"])
        found["p99_less_p99_ms"] = proxied[len(proxied) * 99 // 100] - found["direct_p99_ms"]
        return found

    def paced(self, target: Running | None) -> Figures:
        prompts = self._prompts(stream=True, max_tokens=CHUNKS, presence_penalty=GAP_MS / 1e3)
        began = target.cpu_s() if target else 0.0
        words = ["--workload", prompts, "--concurrency", str(STREAMS), "--requests", str(2 * STREAMS)]
        run, folder = self._bench(target.url if target else self.engine, "x", *words)
        cpu_s = target.cpu_s() - began if target else 0.0
        with (folder / "requests.csv").open() as file:
            rows = list(csv.DictReader(file))
        lines = (folder / "details.jsonl").read_text().splitlines()
        gaps = [one["p99_ms"] for line in lines if (one := json.loads(line).get("gaps"))]
        served = sum(row["success"] == "1" for row in rows)
        client = run["cells"][0]["client"]
        found = {
            "errors": len(rows) - served,
            "ttft_p50_ms": median(float(row["ttft_ms"]) for row in rows if row["ttft_ms"]),
            "e2e_p50_ms": median(float(row["e2e_ms"]) for row in rows if row["e2e_ms"]),
            "gap_p99_ms": median(gaps),
            "client_lag_p99_ms": client["lag_p99_ms"],
        }
        if target and served:
            found["cpu_us_per_chunk"] = cpu_s / (served * CHUNKS) * 1e6
        return found

    def back_to_back(self, target: Running | None) -> Figures:
        words = ["--connections", "64", "--stream", "200", "--seconds", str(self.seconds)]
        told, cpu_s, _ = self._load(target, *words)
        found = {"chunks_per_s": told["chunks"] / told["seconds"], "errors": told["errors"]}
        if target and told["chunks"]:
            found |= {"cpu_us_per_chunk": cpu_s / told["chunks"] * 1e6, "cores": cpu_s / told["seconds"]}
        return found

    def memory(self, target: Running | None) -> Figures:
        if target is None:
            return {}
        before = target.memory_mb()
        words = ["--connections", str(OPEN), "--stream", "30", "--gap", "1000", "--warm-up", "6", "--seconds", "3"]
        told, _, peak = self._load(target, *words)
        found = {"before_mb": before, "open_mb": peak, "errors": told["errors"]}
        return found | {"kb_per_stream": (peak - before) * 1024 / OPEN, "chunks_per_s": told["chunks"] / 3.0}


def works(bench: Bench, target: Running) -> bool:
    """It answers, whole and as a stream; some load what they need at their first requests."""
    for _ in range(5):
        told = [
            bench._load(target, "--connections", "2", "--warm-up", "1", "--seconds", "1", *words)[0]
            for words in ((), ("--stream", "5"))
        ]
        if all(one["answers"] and not one["errors"] for one in told):
            return True
    return False


def measured(bench: Bench, up: Sequence[Running], suites: Sequence[str], rounds: int) -> Iterator[Figure]:
    """Direct first, then all in an order that turns with each round."""
    for suite in suites:
        measure: Callable[[Running | None], Figures] = getattr(bench, suite)
        once: set[str] = set()
        for number in range(1 if suite == "memory" else rounds):
            first = number % len(up)
            for target in (None, *up[first:], *up[:first]):
                name = target.name if target else DIRECT
                if name in once:
                    continue
                began = time.monotonic()
                found = measure(target)
                if time.monotonic() - began > LONG_S:
                    once.add(name)
                words = ", ".join(f"{key} {value:,.4g}" for key, value in found.items())
                print(f"{suite}, round {number + 1}, {name}: {words}", file=sys.stderr, flush=True)
                for figure, value in found.items():
                    yield Figure(suite, number + 1, name, figure, value)


def about() -> dict[str, Any]:
    """What the figures hang on."""
    code = (
        "import json;from proxy.bench.machine import commit,machine,versions;"
        "print(json.dumps({'machine':machine(targets_here=True).model_dump(),'versions':versions(),'git':commit()}))"
    )
    beside = str(Path(program()).with_name("python"))
    done = subprocess.run([beside, "-P", "-c", code], check=True, capture_output=True)
    told: dict[str, Any] = json.loads(done.stdout)
    nginx = subprocess.run([kinds()["nginx"].command.split()[0], "-v"], check=False, capture_output=True, text=True)
    told["peers"] = {"nginx": nginx.stderr.strip().rpartition("/")[2]}
    told["peers"] |= {name: peers.version(name) for name in peers.PACKAGES}
    return told | {"at": f"{time.strftime('%Y-%m-%d')}", "cores": {"target": [*TARGET_CORES], "other": [*OTHER_CORES]}}


def main() -> int:
    """Measures, writes, prints."""
    options = parser(__doc__)
    options.add_argument("--only", default=",".join(tables.SUITES), help="suites, in this order")
    options.add_argument("--targets", default=";".join(kinds()), help="behind `;`, since names hold commas")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3.0, help="of each window")
    asked = options.parse_args()
    suites, names = asked.only.split(","), asked.targets.split(";")
    if unknown := [one for one in suites if one not in tables.SUITES] + [one for one in names if one not in kinds()]:
        print(f"overhead: unknown: {', '.join(unknown)}", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, OTHER_CORES)
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = [sys.executable, "-m", "tests.benchmarks.overhead.engine"]
        _, line = stack.enter_context(process(engine, "ready at", folder / "engine.log"))
        bench, up = Bench(line.split()[-1], folder, asked.seconds), []
        for name in names:
            kind = kinds()[name]
            why = missing(name, kind)
            try:
                target = None if why else stack.enter_context(running(name, kind, bench.engine, folder))
            except SystemExit as error:
                target, why = None, str(error)
            if target and not works(bench, target):
                target, why = None, "it does not answer rightly"
            if target is None:
                left_out[name] = why
                print(f"overhead: NOT MEASURED: {name}: {why}", file=sys.stderr)
            else:
                up.append(target)
        if not up:
            return 1
        found = list(measured(bench, up, suites, asked.rounds))
    tables.merge(RESULTS, found, suites, {**about(), "argv": sys.argv[1:], "left_out": left_out})
    print((RESULTS / "report.md").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
