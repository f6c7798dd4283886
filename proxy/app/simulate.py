"""`tidegate simulate`: the scheduler of a configuration, on virtual time, before modelled engines.

Owns the options, the traffic and the output. The playing is done by `sim`, the deciding by the very scheduler that
`serve` runs.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxy.app.contenders import REFERENCES, UsageError, contenders_of
from proxy.model.units import parse_duration_s
from proxy.sim.arrival import Arrival
from proxy.sim.cluster import DEFAULT_ENGINES, ClusterError
from proxy.sim.contest import Contest, play_contest
from proxy.sim.generator import WORKLOADS, generate
from proxy.sim.slo import SloRules, parse_slo, promised
from proxy.sim.tables import backends_csv, contest_json, contest_text, groups_csv, refusals_csv
from proxy.sim.traces import Trace, TraceError, read_trace
from proxy.sim.workload_file import WorkloadError, read_workload

_PROGRESS_S = 0.1

Traffic = tuple[Callable[[int], Sequence[Arrival]], dict[str, Any]]
"""Seed → arrivals, and a description of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tidegate simulate`."""
    add = parser.add_argument
    add("file", metavar="FILE", nargs="?", help="configuration, YAML (default: all defaults)")
    add("--engines", metavar="LINE|FILE", help=f"what is simulated: {DEFAULT_ENGINES} (the default), or a YAML file")
    policy = "instead of the one of the configuration; options may follow: goodput/admission.mode=off/explore=0"
    add("--policy", metavar="NAME", help=policy)
    also = f"also play these policies or configurations (*.yaml), or the upper marks: {', '.join(REFERENCES)}"
    add("--compare", metavar="NAME|FILE,…", default="", help=also)
    rules = "such as ttft=2s,tpot=100ms or interactive:ttft=200ms,tpot=40ms;bulk:none; the default, mooncake, is"
    promise = "TTFT 2 s or 3 unloaded prefills, TPOT 100 ms"
    add("--slo", metavar="RULES", type=_slo, default="mooncake", help=f"{rules} {promise}")
    add("--seeds", metavar="N", type=_count, default=1, help="play seeds 1 to N (default: %(default)s)")
    add("--seed", metavar="N", type=int, help="play only this seed")
    add("--limit", metavar="N", type=_count, help="only the first N requests")
    add("--out", metavar="DIR", type=Path, help="write report.json, groups.csv, backends.csv and refusals.csv there")
    _add_traffic(parser)


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--trace", metavar="FILE", type=Path, help="Mooncake JSONL, Azure CSV, our access log in JSON")
    named = ", ".join(WORKLOADS)
    source.add_argument("--workload", metavar="NAME|FILE", help=f"made-up traffic: {named}, or a YAML file")
    add = parser.add_argument
    add("--speed", metavar="F", type=_factor, default=1.0, help="trace: pauses are divided by F")
    jitter = "trace: move each arrival by up to so much, by the seed"
    add("--jitter", metavar="DURATION", type=_duration, default=0.0, help=jitter)
    add("--skip-broken", action="store_true", help="trace: leave broken lines out instead of stopping at the first")
    add("--rate", metavar="N", type=_factor, help="workload: requests per second")
    add("--duration", metavar="DURATION", type=_duration, help="workload: how long it goes on")


def run(options: argparse.Namespace) -> int:
    """Play, print, write; 1 when the files are wrong."""
    try:
        contest, setting = play(options)
        print(contest_text(contest), end="")
        if options.out:
            _write(options.out, contest, setting)
    except (UsageError, TraceError, ClusterError, WorkloadError) as error:
        print(f"tidegate simulate: {error}", file=sys.stderr)
        return 1
    return 0


def play(options: argparse.Namespace) -> tuple[Contest, dict[str, Any]]:
    """What the options ask for, and a description of it. Raises one of the errors that `run` prints."""
    arrivals_of, traffic = _traffic(options)
    contenders = contenders_of(options)
    seeds = [options.seed] if options.seed is not None else list(range(1, options.seeds + 1))
    with _progress() as progress:
        contest = play_contest(contenders, seeds, arrivals_of, progress)
    setting = {"traffic": traffic, "engines": options.engines or DEFAULT_ENGINES, "seeds": seeds, "argv": sys.argv[1:]}
    return contest, setting


# ---- traffic


def _traffic(options: argparse.Namespace) -> Traffic:
    """Seed → arrivals, and what they are."""
    rules: SloRules = options.slo if isinstance(options.slo, dict) else parse_slo(options.slo)
    if options.trace:
        return _trace_traffic(options, rules)
    workload = read_workload(options.workload)
    changes = {"rate": options.rate, "duration": options.duration}
    workload = workload.model_copy(update={name: value for name, value in changes.items() if value is not None})

    def arrivals_of(seed: int) -> Sequence[Arrival]:
        try:
            return promised(generate(workload, seed, options.limit), rules)
        except ValueError as error:
            raise UsageError(f"the workload has {error}") from None

    return arrivals_of, {"workload": workload.model_dump(mode="json")}


def _trace_traffic(
    options: argparse.Namespace, rules: SloRules
) -> tuple[Callable[[int], Sequence[Arrival]], dict[str, Any]]:
    def trace_of(seed: int) -> Trace:
        return read_trace(
            options.trace, skip_broken=options.skip_broken, limit=options.limit, speed=options.speed,
            jitter_s=options.jitter, seed=seed,
        )  # fmt: skip

    trace = trace_of(1)
    _tell(trace)
    if options.jitter:
        return lambda seed: promised(trace_of(seed).arrivals, rules), _described(trace, options)
    arrivals = promised(trace.arrivals, rules)
    return lambda _: arrivals, _described(trace, options)


def _described(trace: Trace, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "trace": trace.name,
        "form": trace.form,
        "requests": len(trace.arrivals),
        "rate_per_s": round(trace.rate_per_s, 4),
        "speed": options.speed,
        "left_out": trace.left_out,
        "not_recorded": trace.missing,
    }


def _tell(trace: Trace) -> None:
    """What was read, and what was not, on standard error."""
    print(
        f"{trace.name}: {trace.form}, {len(trace.arrivals)} requests, {trace.span_s:.0f} s, {trace.rate_per_s:.2f}/s"
        + (f"; not recorded: {', '.join(trace.missing)}" if trace.missing else ""),
        file=sys.stderr,
    )
    for broken in trace.broken:
        print(f"{trace.name}:{broken.line}: left out: {broken.why}", file=sys.stderr)
    if trace.left_out > len(trace.broken):
        print(f"{trace.name}: {trace.left_out} lines left out", file=sys.stderr)


# ---- output


def _write(directory: Path, contest: Contest, setting: dict[str, Any]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "report.json").write_text(contest_json(contest, setting))
        (directory / "groups.csv").write_text(groups_csv(contest))
        (directory / "backends.csv").write_text(backends_csv(contest))
        (directory / "refusals.csv").write_text(refusals_csv(contest))
    except OSError as error:
        raise UsageError(f"cannot write to {directory}: {error.strerror or error}") from None


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """One line that is written over and over, where somebody looks."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    last = 0.0

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_S:
            last = now
            filled = 30 * done // max(1, total)
            bar = "#" * filled + "." * (30 - filled)
            print(f"\r\x1b[K{what} [{bar}] {done}/{total}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# ---- types of options


def _slo(text: str) -> SloRules:
    try:
        return parse_slo(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _duration(text: str) -> float:
    try:
        return float(parse_duration_s(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _factor(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError("must be above 0")
    return number
