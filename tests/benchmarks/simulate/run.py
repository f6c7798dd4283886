"""Play the measurements and write what came out, losing cases included, to `results/`.

    python -m tests.benchmarks.simulate.run --traces DIR                  all of them, hours; says beforehand how long
    python -m tests.benchmarks.simulate.run --traces DIR --quick          all of it, small, minutes: `results/quick`
    python -m tests.benchmarks.simulate.run --traces DIR --only mooncake  those whose names begin so
    python -m tests.benchmarks.simulate.run --traces DIR --minutes 60     what can be done by then, in order
    python -m tests.benchmarks.simulate.run --list

Measurements whose trace is not in DIR are left out and said to be. Per measurement: `NAME.json` (everything, with the
command line) and `NAME.csv` (groups), which are not committed; and all together `results.md`, `runs.csv` (every seed)
and `table.csv` (means, Student's interval over seeds, shares of the better reference), made anew from the JSON files
that are there.
"""

import argparse
import csv
import io
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
from proxy.sim.engine import engine
from proxy.sim.world.tables import contest_json, contest_text, groups_csv
from tests.benchmarks.simulate.measured import (
    MEASUREMENTS,
    OURS,
    QUICK_AGAINST,
    QUICK_REQUESTS,
    REFERENCES,
    Measurement,
    estimate_s,
)
from tests.benchmarks.simulate.table import table_csv

RESULTS = Path(__file__).parent / "results"
TRACES_VARIABLE = "TIDEGATE_TRACES"


def main() -> int:
    options = _options()
    chosen = [m for m in MEASUREMENTS if not options.only or m.name.startswith(tuple(options.only))]
    if options.list or not chosen:
        print("\n".join(f"{m.name:30} {m.aim}" for m in MEASUREMENTS))
        return 0 if options.list else 2
    compiled = not str(engine.__file__).endswith(".py")
    there = [m for m in chosen if command_line(m, options) is not None]
    for measurement in chosen:
        if measurement not in there:
            print(f"{measurement.name}: LEFT OUT, --traces names no directory with {measurement.trace}", flush=True)
    expected = [estimate_s(m, _against(m, options), options.seeds, compiled, options.limit) for m in there]
    how = "compiled" if compiled else "not compiled"
    print(
        f"{len(there)} measurements, {options.seeds} seeds, {how}: about {sum(expected) / 60:.0f} minutes", flush=True
    )
    options.out.mkdir(parents=True, exist_ok=True)
    _measure_all(list(zip(there, expected, strict=True)), options)
    found = _found(options.out)
    (options.out / "results.md").write_text(_summary(found))
    (options.out / "runs.csv").write_text(_runs(found))
    (options.out / "table.csv").write_text(table_csv(found))
    return 0


def _measure_all(planned: Sequence[tuple[Measurement, float]], options: argparse.Namespace) -> None:
    """One after another; the estimate is corrected by what those before took."""
    started, done_s = time.monotonic(), 0.0
    for position, (measurement, expected_s) in enumerate(planned):
        spent_s = time.monotonic() - started
        slower = spent_s / done_s if done_s else 1.0
        if options.minutes and spent_s + slower * expected_s > 60 * options.minutes:
            left = ", ".join(m.name for m, _ in planned[position:])
            print(f"LEFT OUT, there would be no time for it: {left}", flush=True)
            return
        _measure(measurement, options)
        done_s += expected_s


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Play the measurements of the scheduler.")
    parser.add_argument("--traces", metavar="DIR", default=os.environ.get(TRACES_VARIABLE), help="where the traces are")
    parser.add_argument("--only", action="append", metavar="NAME", help="only those that begin so; may be repeated")
    parser.add_argument("--seeds", type=int, help="(default: 3; quick: 1)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_REQUESTS} requests and few contenders each")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N requests of each")
    parser.add_argument("--minutes", type=float, metavar="N", help="begin nothing that would end after so long")
    parser.add_argument("--out", type=Path, metavar="DIR", help="(default: results, quick: results/quick)")
    parser.add_argument("--against", metavar="NAME,…", help="instead of the listed contenders")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    options.seeds = options.seeds or (1 if options.quick else 3)
    options.limit = options.limit or (QUICK_REQUESTS if options.quick else None)
    options.out = options.out or (RESULTS / "quick" if options.quick else RESULTS)
    return options


def _against(measurement: Measurement, options: argparse.Namespace) -> Sequence[str]:
    if options.against:
        return str(options.against).split(",")
    return QUICK_AGAINST if options.quick else measurement.against


def command_line(measurement: Measurement, options: argparse.Namespace) -> list[str] | None:
    """Arguments of `tidegate simulate`; None when its trace is not there."""
    arguments = [*measurement.arguments, "--policy", OURS, "--seeds", str(options.seeds)]
    if against := _against(measurement, options):
        arguments += ["--compare", ",".join(against)]
    if options.limit:
        arguments += ["--limit", str(options.limit)]
    if measurement.trace is None:
        return arguments
    file = _trace_file(Path(options.traces or ""), measurement.trace)
    return [*arguments, "--trace", str(file)] if options.traces and file else None


def _trace_file(folder: Path, name: str) -> Path | None:
    """There, packed, or without the folder below."""
    places = (folder / name, folder / f"{name}.gz", folder / Path(name).name, folder / f"{Path(name).name}.gz")
    return next((place for place in places if place.is_file()), None)


def _measure(measurement: Measurement, options: argparse.Namespace) -> None:
    arguments = command_line(measurement, options)
    assert arguments is not None, "its trace is gone"
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
    (options.out / f"{measurement.name}.json").write_text(contest_json(contest, setting))
    (options.out / f"{measurement.name}.csv").write_text(groups_csv(contest))
    print(f"== {measurement.name} ({measurement.aim})\n{contest_text(contest).split(chr(10) * 2)[0]}", flush=True)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


# ---- the summary of all results


def _found(folder: Path) -> dict[str, dict[str, Any]]:
    """The results that are there, in the order of the list."""
    paths = {m.name: folder / f"{m.name}.json" for m in MEASUREMENTS}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.is_file()}


def _summary(found: dict[str, dict[str, Any]]) -> str:
    parts = ["# Measured\n", "Made by `python -m tests.benchmarks.simulate.run`; how to read it: ../README.md.\n"]
    return "\n".join([*parts, *map(_section, found.values())])


_GROUPS_MAX = 16
"""Of more tenants the rows by tenant would be most of the file; `NAME.json` has them."""


def _runs(found: dict[str, dict[str, Any]]) -> str:
    """Every contender on every seed: the shares that a comparison needs."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    counts = ("requests", "good", "served", "refused", "failed", "late_ttft", "late_tpot", "late_e2e")
    table.writerow(("measurement", "contender", "seed", "group", *counts, "goodput", "token_goodput"))
    for name, document in found.items():
        for run in document["runs"]:
            split = (by for by in (run["by_class"], run["by_tenant"]) if 1 < len(by) <= _GROUPS_MAX)
            groups = {"": run["total"], **{group: numbers for by in split for group, numbers in by.items()}}
            for group, numbers in groups.items():
                shares = (f"{numbers['goodput']:.5f}", f"{numbers['token_goodput']:.5f}")
                row = (name, run["contender"], run["seed"], group, *(numbers[count] for count in counts), *shares)
                table.writerow(row)
    return out.getvalue()


def _section(document: dict[str, Any]) -> str:
    setting = document["setting"]
    lines = [
        f"## {setting['name']}\n",
        f"Aim: {setting['aim']}. `tidegate simulate {' '.join(setting['argv'])}`  ",
        f"{setting['machine']}; {setting['at']}; seeds {setting['seeds']}.\n",
        "| contender | goodput % | tokens % | refused % | falsely % | TTFT p50/p99 s | TPOT p50/p99 ms | hit % "
        "| hedged % | prompt tokens computed | ours less it |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    differences = {d["baseline"]: d for d in document.get("differences", {}).get("requests", ())}
    contenders = list(dict.fromkeys(run["contender"] for run in document["runs"]))
    for name in contenders:
        runs = [run for run in document["runs"] if run["contender"] == name]
        lines += [_row(name, runs, differences.get(name))]
    if setting.get("group"):
        lines += ["", *(_groups(name, document, f"by_{setting['group']}") for name in contenders)]
    return "\n".join(lines) + "\n"


def _row(name: str, runs: Sequence[dict[str, Any]], difference: dict[str, Any] | None) -> str:
    totals = [run["total"] for run in runs]
    refused = fmean(t["refused"] / max(1, t["requests"]) for t in totals)
    falsely = fmean(t.get("falsely_refused", 0) / max(1, t["requests"]) for t in totals)
    cells = [
        f"**{name}**" if name == OURS else name + (" (upper mark)" if name in REFERENCES else ""),
        _spread([t["goodput"] for t in totals]),
        _spread([t["token_goodput"] for t in totals]),
        f"{100 * refused:.1f}",
        f"{100 * falsely:.1f}",
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


def _groups(name: str, document: dict[str, Any], by: str) -> str:
    runs = [run[by] for run in document["runs"] if run["contender"] == name]
    shares = [f"{group} {100 * fmean(r[group]['goodput'] for r in runs):.1f}" for group in runs[0]]
    return f"- {name}: {', '.join(shares)} % of requests"


if __name__ == "__main__":
    sys.exit(main())
