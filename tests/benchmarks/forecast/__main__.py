"""What is forecast from a recorded log, held against what came. Run it: `python -m tests.benchmarks.forecast`.

At 0.5, 1 and 1.5 times what two modelled low-latency engines (`tidegate sim`, over HTTP) hold behind the real proxy:

1. one seed is played live, and its access log is all that is known of the engines: `tidegate calibrate`
2. other seeds are forecast: `tidegate simulate --forecast`, before the calibrated engines
3. they are played live, and held against that: `--check-forecast`, goodput within 5 %, P99 TTFT of chats within 10 %
4. the first log is forecast itself, as `plan` and `tune` do it: sizes and prefix digests are read off its lines
5. one held-out seed is played live again: how far what came is from what comes of the very same requests

Every run is a process tree of its own and takes `--duration` and what drains after it; `--only live` plays and leaves
the logs in `--folder`, where runs that are there are not played again; `--only judge` needs no quiet machine, and takes
what there is.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import yaml

from proxy.app.forecast.check import Came, came, read
from proxy.cli.main import main as tidegate
from proxy.sim.world.slo import parse_slo
from proxy.workload.arrival import Arrival
from proxy.workload.generator import BLOCK_TOKENS
from tests.benchmarks.forecast.live import ENGINES, SLO, arrivals_at, config_of, play
from tests.benchmarks.forecast.told import Row, write
from tests.benchmarks.simulate.over_http import body_of

RESULTS = Path(__file__).parent / "results"
CAPACITY = 6.0
"""Requests per second of which the simulator keeps 95 % of the promises before `ENGINES`."""
LOADS = (0.5, 1.0, 1.5)
RECORDED = 1
"""The seed that is calibrated from."""
HELD_OUT = (2, 3, 4)
POLICY = "goodput"
PLAYS = 8
"""Of one forecast, each with arrivals moved by up to…"""
JITTER = "3ms"
"""…what a network moves them by: above 1 x a P99 hangs on that."""


class Runs:
    """Logs by load and seed, in one folder."""

    def __init__(self, folder: Path, duration_s: float) -> None:
        self.folder, self._duration_s = folder, duration_s
        folder.mkdir(parents=True, exist_ok=True)

    def log(self, load: float, seed: int, word: str = "") -> Path:
        """Of one run."""
        return self.folder / f"load-{load:g}-seed-{seed}{word}.log"

    def arrivals(self, load: float, seed: int) -> list[Arrival]:
        """Of one run."""
        return arrivals_at(load * CAPACITY, self._duration_s, seed)

    def play(self, load: float, seed: int, word: str = "") -> None:
        """Unless it was."""
        log = self.log(load, seed, word)
        if log.exists():
            return
        late_s = play(self.arrivals(load, seed), POLICY, log)
        log.with_suffix(".json").write_text(json.dumps({"late_s": late_s}))
        print(f"played: load {load:g}, seed {seed}{word}, loop late by {1e3 * late_s:.1f} ms (P99)", flush=True)

    def late_s(self, load: float, seed: int, word: str = "") -> float:
        """Of the clients' loop."""
        return float(json.loads(self.log(load, seed, word).with_suffix(".json").read_text())["late_s"])

    def came(self, load: float, seed: int, word: str = "") -> Came:
        """What its log tells."""
        return came([self.log(load, seed, word)], parse_slo(SLO))


class Judge:
    """Forecasts at one load."""

    def __init__(self, runs: Runs, load: float) -> None:
        self._runs, self._load = runs, load
        self._engines = runs.folder / f"engines-{load:g}.yaml"
        self._file = runs.folder / "routing.yaml"
        urls = [f"http://127.0.0.1:{port}" for port in (1, 2)]
        self._file.write_text(yaml.safe_dump({"version": 1} | config_of(urls, POLICY, runs.folder / "none.log")))

    def rows(self, seeds: Sequence[int], again: str) -> list[Row]:
        """The recorded seed from its log, the others, as far as they were played, from what they are made of."""
        recorded = self._runs.log(self._load, RECORDED)
        seeds = [seed for seed in seeds if self._runs.log(self._load, seed).exists()]
        quietly("calibrate", str(recorded), "--out", str(self._engines))
        own = self._row("own log", RECORDED, recorded, self._engines)
        held = [self._row("held out", seed, self._written(seed), self._engines) for seed in seeds]
        true = [self._row("true engines", seed, self._written(seed), ENGINES) for seed in seeds]
        twice = [self._twice(seed, again) for seed in seeds if self._runs.log(self._load, seed, again).exists()]
        return [*held, own, *true, *twice]

    def _written(self, seed: int) -> Path:
        """The traffic of a seed as a trace."""
        path = self._runs.folder / f"load-{self._load:g}-seed-{seed}.jsonl"
        lines: list[dict[str, Any]] = [{"tidegate_trace": 1, "block_tokens": BLOCK_TOKENS}]
        lines += [
            {
                "at": one.at,
                "prompt_tokens": one.prompt_tokens,
                "output_tokens": one.output_tokens,
                "prefix": [*one.prefix_hashes],
                "class": one.traffic_class,
                "body_bytes": len(body_of(one)),
            }
            for one in self._runs.arrivals(self._load, seed)
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    def _row(self, kind: str, seed: int, trace: Path, engines: Path | str) -> Row:
        out = self._runs.folder / "forecast.json"
        file = ["--policy", POLICY] if engines == ENGINES else [str(self._file)]
        asked = ["--engines", str(engines), "--trace", str(trace), "--slo", SLO]
        quietly("simulate", *file, *asked, "--seeds", str(PLAYS), "--jitter", JITTER, "--forecast", str(out))
        forecast, found = read(out), self._runs.came(self._load, seed)
        p99 = forecast.ttft_p99_s.get("interactive")
        late_s = self._runs.late_s(self._load, seed)
        plays = forecast.ttft_p99_range_s.get("interactive")
        return Row.of(kind, self._load, seed, forecast.error, forecast.goodput, p99, found, late_s, plays)

    def _twice(self, seed: int, again: str) -> Row:
        before, found = self._runs.came(self._load, seed), self._runs.came(self._load, seed, again)
        p99, late_s = before.ttft_p99_s("interactive"), self._runs.late_s(self._load, seed, again)
        return Row.of("live again", self._load, seed, None, before.good / before.requests, p99, found, late_s)


def quietly(*arguments: str) -> None:
    """A command as a person runs it; what it says is shown where it fails."""
    with redirect_stdout(StringIO()) as said:
        code = tidegate([*arguments])
    if code:
        print(said.getvalue())
        raise SystemExit(f"tidegate {' '.join(arguments)}: {code}")


def main() -> int:
    options = _options()
    runs = Runs(options.folder, options.duration)
    if options.only != "judge":
        for load in options.loads:
            for seed in (RECORDED, *options.seeds):
                runs.play(load, seed)
            if options.again in options.seeds:
                runs.play(load, options.again, "-again")
    if options.only != "live":
        rows = [row for load in options.loads for row in Judge(runs, load).rows(options.seeds, "-again")]
        setting = f"`tidegate sim` {ENGINES} over HTTP, policy {POLICY}, SLO {SLO}; load 1 is {CAPACITY:g} requests/s, "
        setting += (
            f"{options.duration:g} s each; a forecast is the mean of {PLAYS} plays, arrivals moved by up to {JITTER}"
        )
        print(write(rows, "; ".join(filter(None, (setting, options.note))), options.out))
    return 0


def _options() -> argparse.Namespace:
    def numbers(kind: type) -> Any:
        return lambda text: [kind(one) for one in text.split(",") if one]

    parser = argparse.ArgumentParser(description="What is forecast from a recorded log, held against what came.")
    parser.add_argument("--loads", type=numbers(float), default=[*LOADS], help="multiples of what the engines hold")
    parser.add_argument("--seeds", type=numbers(int), default=[*HELD_OUT], help="to forecast")
    parser.add_argument("--again", type=int, default=HELD_OUT[0], help="the seed that is played twice; 0: none")
    parser.add_argument("--duration", type=float, default=80.0, help="seconds of traffic in a run")
    parser.add_argument("--only", choices=["live", "judge"], help="play and leave the logs, or judge those")
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()) / "tidegate-forecast", help="for logs")
    parser.add_argument("--note", default="", help="what else ran on the machine, for the figures")
    parser.add_argument("--out", type=Path, default=RESULTS, help="for the figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
