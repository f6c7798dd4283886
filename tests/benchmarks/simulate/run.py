"""Play the measurements and write what came out, losing cases included, to `results/`.

    TIDEGATE_TRACES=/path/to/traces python -m tests.benchmarks.simulate.run                  all of them
    TIDEGATE_TRACES=… python -m tests.benchmarks.simulate.run --only mooncake-1.5 --seeds 1  one, quickly
    python -m tests.benchmarks.simulate.run --list

Per measurement: `NAME.json` (everything, with the command line), `NAME.csv` (groups), and all together `results.md`,
which is made anew from the JSON files that are there.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from proxy.app import simulate
from proxy.sim.tables import contest_json, contest_text, groups_csv
from tests.benchmarks.simulate.measured import MEASUREMENTS, OURS, REFERENCE, Measurement

RESULTS = Path(__file__).parent / "results"
TRACES_VARIABLE = "TIDEGATE_TRACES"


def main() -> int:
    options = _options()
    chosen = [m for m in MEASUREMENTS if not options.only or m.name in options.only]
    if options.list or not chosen:
        print("\n".join(f"{m.name:30} {m.aim}" for m in MEASUREMENTS))
        return 0 if options.list else 2
    for measurement in chosen:
        _measure(measurement, options)
    (RESULTS / "results.md").write_text(_summary())
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Play the measurements of the scheduler.")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--against", metavar="NAME,…", help="instead of the listed contenders")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def command_line(measurement: Measurement, traces: str | None, seeds: int, against: Sequence[str]) -> list[str] | None:
    """Arguments of `tidegate simulate`; None when its trace is not there."""
    arguments = [*measurement.arguments, "--policy", OURS, "--seeds", str(seeds)]
    if against:
        arguments += ["--compare", ",".join(against)]
    if measurement.trace is None:
        return arguments
    file = Path(traces or "") / measurement.trace
    return [*arguments, "--trace", str(file)] if traces and file.is_file() else None


def _measure(measurement: Measurement, options: argparse.Namespace) -> None:
    against = options.against.split(",") if options.against else measurement.against
    arguments = command_line(measurement, os.environ.get(TRACES_VARIABLE), options.seeds, against)
    if arguments is None:
        print(
            f"{measurement.name}: LEFT OUT, {TRACES_VARIABLE} names no directory with {measurement.trace}", flush=True
        )
        return
    parser = argparse.ArgumentParser(allow_abbrev=False)
    simulate.add_arguments(parser)
    started = time.monotonic()
    contest, setting = simulate.play(parser.parse_args(arguments))
    shown = [part if "/" not in part or "=" in part else Path(part).name for part in arguments]
    setting |= {
        "argv": shown,
        "name": measurement.name,
        "aim": measurement.aim,
        "group": measurement.group,
        "machine": _machine(),
        "took_s": round(time.monotonic() - started, 1),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{measurement.name}.json").write_text(contest_json(contest, setting))
    (RESULTS / f"{measurement.name}.csv").write_text(groups_csv(contest))
    print(f"== {measurement.name} ({measurement.aim})\n{contest_text(contest).split(chr(10) * 2)[0]}", flush=True)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


# ---- the summary of all results


def _summary() -> str:
    parts = ["# Measured\n", "Made by `python -m tests.benchmarks.simulate.run`; how to read it: README.md.\n"]
    found = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    order = [m.name for m in MEASUREMENTS if m.name in found]
    parts += [_section(found[name]) for name in order]
    return "\n".join(parts)


def _section(document: dict[str, Any]) -> str:
    setting = document["setting"]
    lines = [
        f"## {setting['name']}\n",
        f"Aim: {setting['aim']}. `tidegate simulate {' '.join(setting['argv'])}`  ",
        f"{setting['machine']}; {setting['at']}; seeds {setting['seeds']}.\n",
        "| contender | goodput % | tokens % | refused % | TTFT p50/p99 s | TPOT p50/p99 ms | hit % | hedged % "
        "| prompt tokens computed | ours less it |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    differences = {d["baseline"]: d for d in document.get("differences", {}).get("requests", ())}
    contenders = list(dict.fromkeys(run["contender"] for run in document["runs"]))
    for name in contenders:
        runs = [run for run in document["runs"] if run["contender"] == name]
        lines += [_row(name, runs, differences.get(name))]
    if setting.get("group") == "tenant":
        lines += ["", *(_tenants(name, document) for name in contenders)]
    return "\n".join(lines) + "\n"


def _row(name: str, runs: Sequence[dict[str, Any]], difference: dict[str, Any] | None) -> str:
    totals = [run["total"] for run in runs]
    refused = fmean(t["refused"] / max(1, t["requests"]) for t in totals)
    cells = [
        f"**{name}**" if name == OURS else name + (" (upper mark)" if name == REFERENCE else ""),
        _spread([t["goodput"] for t in totals]),
        _spread([t["token_goodput"] for t in totals]),
        f"{100 * refused:.1f}",
        _pair(totals, "ttft", 1.0, 2),
        _pair(totals, "tpot", 1e3, 0),
        f"{100 * fmean(run['hit_rate'] for run in runs):.1f}",
        f"{100 * fmean(run.get('hedged', 0) / max(1, run['total']['requests']) for run in runs):.1f}",
        f"{fmean(run.get('computed_tokens', 0) for run in runs):,.0f}",
        _difference(difference) if difference else "",
    ]
    return "| " + " | ".join(cells) + " |"


def _spread(values: Sequence[float]) -> str:
    mean = f"{100 * fmean(values):.1f}"
    return mean if len(values) < 2 else f"{mean} ({100 * min(values):.1f}-{100 * max(values):.1f})"


def _pair(totals: Sequence[dict[str, Any]], latency: str, factor: float, digits: int) -> str:
    cells = []
    for quantile in ("p50", "p99"):
        known = [t[latency][quantile] for t in totals if t[latency][quantile] is not None]
        cells.append(f"{factor * fmean(known):.{digits}f}" if known else "-")
    return " / ".join(cells)


def _difference(difference: dict[str, Any]) -> str:
    low, high = difference["over_requests_95"]
    mean = f"{100 * difference['mean']:+.1f}"
    return mean if low is None else f"{mean} ({100 * low:+.1f} to {100 * high:+.1f})"


def _tenants(name: str, document: dict[str, Any]) -> str:
    runs = [run["by_tenant"] for run in document["runs"] if run["contender"] == name]
    shares = [f"{tenant} {100 * fmean(r[tenant]['goodput'] for r in runs):.1f}" for tenant in runs[0]]
    return f"- {name}: {', '.join(shares)} % of requests"


if __name__ == "__main__":
    sys.exit(main())
