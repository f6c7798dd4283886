"""Figures as rows of a CSV, and the report that is made of them. Ratios are taken within a round, then their median."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

DIRECT, BASE = "direct", "nginx"
_TIMES = "\N{MULTIPLICATION SIGN} nginx's CPU"


class Figure(NamedTuple):
    """One row."""

    suite: str
    round: int
    target: str
    figure: str
    value: float


class Column(NamedTuple):
    """Of a table: a figure as it is, as a multiple of the baseline's (`times`), or less the bare engine's (`less`)."""

    title: str
    figure: str
    digits: int = 2
    how: str = ""


class Suite(NamedTuple):
    title: str
    columns: tuple[Column, ...]


SUITES = {
    "short": Suite(
        "Short requests: whole answers, 1 KB prompts, 32 clients, as fast as they go",
        (
            Column("requests/s", "requests_per_s", 0),
            Column("CPU ms per request", "cpu_ms", 4),
            Column(_TIMES, "cpu_ms", 1, "times"),
            Column("of its core", "cores", 2),
            Column("p50 ms", "p50_ms"),
            Column("p99 ms", "p99_ms"),
            Column("errors", "errors", 0),
        ),
    ),
    "rate": Suite(
        "Added latency at 100 requests/s, each request and its pair to the bare engine",
        (
            Column("added, median of pairs, ms", "added_median_ms"),
            Column("P99 less direct's P99, ms", "p99_less_p99_ms"),
            Column("direct p50, ms", "direct_p50_ms"),
            Column("direct p99, ms", "direct_p99_ms"),
            Column("CPU ms per request", "cpu_ms", 3),
            Column("errors", "errors", 0),
        ),
    ),
    "paced": Suite(
        "Paced streams: 128 at once, 50 chunks/s each",
        (
            Column("CPU s per 1 M chunks", "cpu_us_per_chunk", 1),
            Column(_TIMES, "cpu_us_per_chunk", 1, "times"),
            Column("TTFT p50 more than direct, ms", "ttft_p50_ms", 1, "less"),
            Column("gap P99 more than direct, ms", "gap_p99_ms", 1, "less"),
            Column("stream, s", "e2e_p50_ms", 0),
            Column("errors", "errors", 0),
        ),
    ),
    "back_to_back": Suite(
        "Streams back to back: 64 at once, 200 chunks each",
        (
            Column("chunks/s", "chunks_per_s", 0),
            Column("CPU s per 1 M chunks", "cpu_us_per_chunk", 2),
            Column(_TIMES, "cpu_us_per_chunk", 1, "times"),
            Column("of its core", "cores", 2),
            Column("errors", "errors", 0),
        ),
    ),
    "memory": Suite(
        "Memory: 1,000 open streams, a chunk a second each (proportional set size)",
        (
            Column("before, MB", "before_mb", 0),
            Column("with them, MB", "open_mb", 0),
            Column("KB per stream", "kb_per_stream", 1),
            Column("chunks/s delivered", "chunks_per_s", 0),
            Column("errors", "errors", 0),
        ),
    ),
}


def merge(folder: Path, found: Sequence[Figure], suites: Sequence[str], about: dict[str, Any]) -> None:
    """Rows of other suites stay; `run.json` says of each suite what it hangs on."""
    folder.mkdir(parents=True, exist_ok=True)
    file, facts = folder / "figures.csv", folder / "run.json"
    old = [one for one in read(file) if one.suite not in suites]
    rows = sorted([*old, *found], key=lambda one: list(SUITES).index(one.suite))
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(Figure._fields)
        writer.writerows((*one[:4], f"{one.value:.6g}") for one in rows)
    told = json.loads(facts.read_text()) if facts.exists() else {}
    told |= dict.fromkeys(suites, about)
    facts.write_text(json.dumps({suite: told[suite] for suite in SUITES if suite in told}, indent=1) + "\n")
    (folder / "report.md").write_text(report(rows, told))


def read(file: Path) -> list[Figure]:
    """Empty where there is none."""
    if not file.exists():
        return []
    with file.open(newline="") as rows:
        return [
            Figure(row["suite"], int(row["round"]), row["target"], row["figure"], float(row["value"]))
            for row in csv.DictReader(rows)
        ]


def report(rows: Sequence[Figure], told: dict[str, Any]) -> str:
    """Markdown."""
    text = ["# What a proxy costs", ""]
    for name, suite in SUITES.items():
        ours = [row for row in rows if row.suite == name]
        if not ours:
            continue
        text += [f"## {suite.title}", "", *_table(suite, ours), "", _conditions(told[name], ours), ""]
    return "\n".join(text).rstrip() + "\n"


def _conditions(about: dict[str, Any], rows: Sequence[Figure]) -> str:
    machine, versions = about["machine"], about["versions"]
    others = ", ".join(f"{name} {version}" for name, version in about["peers"].items() if version)
    left_out = "".join(f" Not measured: {name} ({why})." for name, why in about["left_out"].items())
    return (
        f"{about['at']}, {machine['cores']} cores ({machine['cpu']}), {machine['system']}, Python {versions['python']},"
        f" load average {machine['load_average']:g}; Tidegate {versions['tidegate']}, commit {about['git']}; {others};"
        f" n = {max(row.round for row in rows)} rounds (median, range); what takes long was measured once.{left_out}"
    )


def _table(suite: Suite, rows: Sequence[Figure]) -> list[str]:
    columns = suite.columns
    text = [f"| | {' | '.join(column.title for column in columns)} |", f"|---|{'--:|' * len(columns)}"]
    for target in dict.fromkeys(row.target for row in rows):
        cells = (_cell(column, target, rows) for column in columns)
        text.append(f"| {target} | {' | '.join(cells)} |")
    return text


def _cell(column: Column, target: str, rows: Sequence[Figure]) -> str:
    def of(name: str) -> dict[int, float]:
        return {row.round: row.value for row in rows if row.target == name and row.figure == column.figure}

    ours, other = of(target), of(BASE if column.how == "times" else DIRECT)
    how: dict[str, Callable[[float, float], float]] = {"times": lambda a, b: a / b, "less": lambda a, b: a - b}
    if column.how:
        both = [number for number in ours if other.get(number)]
        values = [how[column.how](ours[number], other[number]) for number in both]
    else:
        values = list(ours.values())
    if not values or (column.how == "less" and target == DIRECT):
        return "-"
    low, high = min(values), max(values)
    told = f"{median(values):,.{column.digits}f}"
    return (
        told if len(values) == 1 or low == high else f"{told} ({low:,.{column.digits}f} to {high:,.{column.digits}f})"
    )
