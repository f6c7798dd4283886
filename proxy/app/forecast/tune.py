"""`tidegate tune`: options of a configuration that serve recorded traffic better, searched in the simulator.

Owns what is tried: margins and duty of the admission, windows where the traffic has requests that can go together, and
a split of the backends between short requests and bulk. Kept answers are not modelled, so the budget of the cache is
left alone. With `--url` the best of them are measured, too (`verify`), and what was measured decides.
"""

import argparse
import asyncio
import difflib
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import yaml

from proxy.app.contenders import UsageError, backends_of, configured, contender_of
from proxy.app.forecast.played import Traffic, said_of_error, traffic_of
from proxy.app.forecast.verify import HEADERS, Live, Measured, VerifyError, check, reread, verify
from proxy.bench.forecast.halving import halve
from proxy.bench.progress import Progress
from proxy.bench.reconfigure import ReconfigureError, put
from proxy.config.schema import Config
from proxy.config.source import UnreadableError, read_text
from proxy.config.tree import parse
from proxy.model.classes import BULK_CLASS
from proxy.model.units import parse_duration_s
from proxy.report.report import Report, report_of
from proxy.report.tables import table, width_of
from proxy.sim.world.cluster import ClusterError, hashed_by, read_engines
from proxy.sim.world.models import listed, named
from proxy.workload.traces import TraceError

RUNGS = (0.25, 0.5, 1.0)
"""Share of the traffic's time that is played."""
CANDIDATES = 40
NOISE = 0.002
"""Of the goodput: less is no gain."""
SHOWN = 5
_NOT_MODELLED = "The budget of the cache is not modelled"
_AXES: Mapping[str, Sequence[str]] = {
    "routing.admission.ttft_margin": ("1.0", "1.15", "1.3", "1.6"),
    "routing.admission.tpot_margin": ("1.0", "1.05", "1.2"),
    "routing.admission.duty": ("0.6", "0.8", "0.95"),
    "routing.backfill.chat_price": ("0.5", "1.0", "3.0"),
}
_WINDOW = ("window.max_wait", ("0", "2", "5", "10", "20", "50"))


class Candidate(NamedTuple):
    """Options that differ from the file: path → value; `split`: so many of the last backends for bulk alone."""

    options: tuple[tuple[str, str], ...] = ()
    split: int = 0

    def __str__(self) -> str:
        said = [f"{key}={value}" for key, value in self.options]
        return ", ".join([*said, *([f"{self.split} backends for bulk alone"] if self.split else [])]) or "as it is"


@dataclass(slots=True)
class Tuner:
    """One search."""

    tree: dict[str, Any]
    """Of the file."""
    folder: Path
    engines: str
    traffic: Traffic
    seeds: int = 1
    reports: dict[tuple[Candidate, int], list[Report]] = field(default_factory=dict)

    def candidates(self, rng: Random) -> list[Candidate]:
        """The file itself, each change alone, and some together; each once."""
        axes = dict(_AXES)
        if any(not arrival.output_tokens for arrival in self.traffic.arrivals):
            axes[_WINDOW[0]] = _WINDOW[1]
        splits = [0, *self._splits()]
        alone = [Candidate(((key, value),)) for key, values in axes.items() for value in values]
        alone += [Candidate((), count) for count in splits[1:]]
        mixed = [
            Candidate(tuple((key, value) for key, value in zip(axes, values, strict=True) if value), count)
            for values in product(*(("", *values) for values in axes.values()))
            for count in splits
        ]
        rng.shuffle(mixed)
        return list(dict.fromkeys([Candidate(), *alone, *mixed]))[:CANDIDATES]

    def _splits(self) -> range:
        """Only of backends that are one pool, without rules."""
        backends, routing = self.tree.get("backends"), self.tree.get("routing") or {}
        if not isinstance(backends, list) or routing.get("rules") or any("pool" in one for one in backends):
            return range(0)
        return range(1, min(len(backends), 5))

    def written(self, candidate: Candidate) -> str:
        """The file with these changes. Raises ReconfigureError."""
        tree = yaml.safe_load(yaml.safe_dump(self.tree))
        for key, value in candidate.options:
            put(tree, key, value, {})
        if candidate.split:
            for index, backend in enumerate(reversed(tree["backends"])):
                backend["pool"] = BULK_CLASS if index < candidate.split else "short"
            size = self.traffic.bulk_from
            when = {"asked_class": [BULK_CLASS]} if size is None else {"prompt_tokens": {"min": size}}
            tree.setdefault("routing", {})["rules"] = [{"when": when, "pool": BULK_CLASS}, {"pool": "short"}]
        return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)

    def worth(self, candidate: Candidate, rung: int) -> float:
        """Goodput, mean over the seeds."""
        reports = self.played(candidate, rung)
        return sum(report.total.goodput for report in reports) / len(reports)

    def played(self, candidate: Candidate, rung: int) -> list[Report]:
        """On that share of the traffic, a report per seed."""
        key = candidate, rung
        if key not in self.reports:
            config = configured(self.written(candidate), "tuned", self.folder)
            hash_tokens = self.traffic.trace.block_tokens
            backends = hashed_by(backends_of(config, read_engines(self.engines)), hash_tokens)
            contender = contender_of("tune", config, config.scheduling(), backends, hash_tokens)
            end = self.traffic.arrivals[-1].at * RUNGS[rung]
            arrivals = named([one for one in self.traffic.arrivals if one.at <= end], listed(backends))
            seeds = range(1, self.seeds + 1)
            self.reports[key] = [report_of(contender.play(arrivals, seed, lambda _: None)) for seed in seeds]
        return self.reports[key]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tidegate tune`."""
    from proxy.app.forecast.options import engines, seeds, slo, speed, trace

    parser.add_argument("file", metavar="FILE", help="configuration, YAML")
    trace(parser, required=True)
    slo(parser, required=True)
    engines(parser, "the engines behind the backends of FILE, or in place of them", required=True)
    seeds(parser)
    speed(parser)
    budget = "longest search, such as 5m (default: 2m); a play that began is ended"
    parser.add_argument("--budget", metavar="DURATION", type=_duration, default=120.0, help=budget)
    rows = "keep every request of what is measured there, a run per way, for tidegate report and bench compare"
    parser.add_argument("--out", metavar="DIR", type=Path, help=rows)
    wrote = "write the best into FILE, whose comments are lost; without it FILE is as it was when this ends"
    parser.add_argument("--write", action="store_true", help=wrote)


def run(options: argparse.Namespace, admin_key: Callable[[Config], dict[str, str]], headers: Mapping[str, str]) -> int:
    """Search, measure the best where there is a proxy, print the change and what is expected of it; 1 where a file is
    wrong. `headers`: of what is measured; `admin_key`: those of its admin port."""
    try:
        return _run(options, admin_key, headers)
    except (UsageError, TraceError, ClusterError, ReconfigureError, VerifyError) as error:
        print(f"tidegate tune: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, admin_key: Callable[[Config], dict[str, str]], headers: Mapping[str, str]) -> int:
    path = Path(options.file)
    try:
        text = read_text(path)
    except UnreadableError as error:
        raise UsageError(f"{path}: {error.message}") from None
    root = parse(text).root
    tree = None if root is None else root.plain()
    if not isinstance(tree, dict):
        raise UsageError(f"{path}: holds no configuration")
    config = configured(text, str(path), path.parent)
    traffic = traffic_of(options.trace, options.slo, options.speed)
    live = _live(options, path, traffic, admin_key(config), headers)
    tuner = Tuner(tree, path.parent, options.engines, traffic, options.seeds)
    candidates = tuner.candidates(Random(1))  # noqa: S311 — the same search each time
    until = time.monotonic() + options.budget
    found = halve(candidates, len(RUNGS), tuner.worth, lambda: time.monotonic() >= until)
    rung = found.rungs - 1 if found.rungs else 0
    shown = [candidates[index] for index, _ in found.places[:SHOWN]]
    print("\n".join(_told(tuner, shown, rung, len(candidates))))
    better = [one for one in shown if _gain(tuner, one, rung) > NOISE]
    if not better or shown[0] not in better:
        print(_NOT_MODELLED + "\nnothing that was tried is better than what the file says")
        return 0
    best, writes = better[0], options.write
    if live is None:
        print(f"measured: not (--url URL); it is what the simulator expects. {_NOT_MODELLED}")
    elif (chosen := _verified(tuner, better[: options.verify], rung, live, options.out)) is None:
        print("measured: nothing is better by more than noise; what was expected to be the best:")
        writes = False
    else:
        best = chosen
    before, after = tuner.written(Candidate()), tuner.written(best)
    print(
        "\n" + "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), str(path), "tuned")),
        end="",
    )
    if writes:
        _write(path, after)
    elif options.write:
        print("\nnot written: nothing is better by more than noise")
    if writes and live is not None:
        asyncio.run(reread(live))
    return 0


def _live(
    options: argparse.Namespace, path: Path, traffic: Traffic, key: Mapping[str, str], headers: Mapping[str, str]
) -> Live | None:
    """Where the best are measured; None: nowhere. Raises UsageError, VerifyError."""
    if options.url is None:
        for name, value in (("--admin", options.admin), ("--out", options.out)):
            if value is not None:
                raise UsageError(f"{name} is of the proxy that --url names")
        return None
    live = Live(
        options.url,
        path,
        options.trace,
        traffic.arrivals,
        options.speed,
        options.admin,
        key,
        headers,
        options.verify_for,
    )
    check(live)
    if options.out is not None and options.out.exists() and any(options.out.iterdir()):
        raise UsageError(f"--out: {options.out} is not empty")
    return live


def _verified(
    tuner: Tuner, ways: Sequence[Candidate], rung: int, live: Live, out: Path | None = None
) -> Candidate | None:
    """Measures and tells; the best by what was measured, None: none is better. `out`: what is measured stays there."""
    runs, each = len(ways) + 1, max(1.0, live.arrivals[-1].at)
    took = f"{runs} runs of about {each:,.0f} s each, {runs * each / 60:,.1f} min together"
    print(f"measuring through {live.url}: {took}", file=sys.stderr, flush=True)
    if (models := len({arrival.model for arrival in live.arrivals})) > 1:
        print(f"note: requests for {models} models are all sent to the first that the proxy lists", file=sys.stderr)
    texts = [tuner.written(way) for way in ways]
    with tempfile.TemporaryDirectory(prefix="tidegate-tune-") as folder, Progress(sys.stderr, runs) as progress:
        found = verify(live, texts, out or Path(folder), progress)
    if out is not None:
        for number, text in enumerate(texts, start=1):
            _keep(out / f"way-{number}.yaml", text)
    rows = [
        (str(way), f"{100 * _gain(tuner, way, rung):+.2f} points", *one.cells())
        for way, one in zip(ways, found, strict=True)
    ]
    print(f"\nmeasured through {live.url}, the same requests each time, with nothing of them in a cache:")
    print(table(("options", "expected", *HEADERS), rows, width=width_of(sys.stdout)).rstrip("\n"))
    print(f"expected: {said_of_error(tuner.engines)}. {_NOT_MODELLED}")
    for way, one in zip(ways, found, strict=True):
        if one.why_not:
            print(f"{way}: not measured: {one.why_not}")
    best = max(range(len(ways)), key=lambda place: _measured_gain(found[place]))
    return ways[best] if found[best].is_better else None


def _measured_gain(one: Measured) -> float:
    """Points of goodput, those that are noise behind all others."""
    change = one.goodput
    return change.absolute[0] if one.is_better and change and change.absolute else float("-inf")


def _gain(tuner: Tuner, candidate: Candidate, rung: int) -> float:
    """Of goodput, as the simulator expects it."""
    return tuner.worth(candidate, rung) - tuner.worth(Candidate(), rung)


def _told(tuner: Tuner, shown: Sequence[Candidate], rung: int, tried: int) -> list[str]:
    trace = tuner.traffic.trace
    rows = [_row(tuner, one, rung) for one in dict.fromkeys([Candidate(), *shown])]
    return [
        f"{trace.name}: {len(trace.arrivals):,} requests, {RUNGS[rung]:.0%} of the time; {tried} ways, the best:",
        table(("options", "goodput", "change", "TTFT P50", "TTFT P99"), rows, width=width_of(sys.stdout)).rstrip("\n"),
        said_of_error(tuner.engines),
    ]


def _row(tuner: Tuner, candidate: Candidate, rung: int) -> tuple[str, ...]:
    goodput = tuner.worth(candidate, rung)
    reports = tuner.played(candidate, rung)
    cells = []
    for name in ("p50", "p99"):
        values = [value for report in reports if (value := getattr(report.total.ttft, name)) is not None]
        cells.append(f"{sum(values) / len(values):.3f} s" if values else "-")
    change = 100 * _gain(tuner, candidate, rung)
    return (str(candidate), f"{goodput:.2%}", f"{change:+.2f} points", *cells)


def _keep(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".tuned")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    print(f"\nwritten: {path}")


def _duration(text: str) -> float:
    try:
        return float(parse_duration_s(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
