"""`tidegate simulate`: the scheduler of a configuration, on virtual time, before modelled engines.

Owns the options, the traffic and the output. The playing is done by `sim`, the deciding by the very scheduler that
`serve` runs.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from proxy.app.contenders import REFERENCES, WINDOW, UsageError, classes_of, contenders_of, engines_said
from proxy.app.forecast import check
from proxy.model.units import parse_duration_s
from proxy.report.intervals import INTERVAL_S
from proxy.report.tables import width_of
from proxy.sim.engine.course import EXAMPLES
from proxy.sim.world.cluster import DEFAULT_ENGINES, DEFAULT_PRESET, ClusterError, read_calibration
from proxy.sim.world.comparison import Comparison, Contender, compare
from proxy.sim.world.models import listed, named, parse_models, servable
from proxy.sim.world.slo import ANY_CLASS, SloRules, parse_slo, promised
from proxy.sim.world.sweep import sweep_chart, sweep_csv, sweep_text
from proxy.sim.world.tables import backends_csv, contest_json, contest_text, groups_csv, intervals_csv, refusals_csv
from proxy.workload.arrival import Arrival
from proxy.workload.file import WorkloadError, read_workload
from proxy.workload.generator import BLOCK_TOKENS, WORKLOADS, generate
from proxy.workload.traces import Trace, TraceError, read_trace

_PROGRESS_S = 0.1


class SimulatedTraffic(NamedTuple):
    """What is asked of the contenders."""

    arrivals_of: Callable[[int], Sequence[Arrival]]
    """By seed."""
    said: dict[str, Any]
    """A description."""
    block_tokens: int
    """Per prefix hash."""
    models: Mapping[str, float]
    """What is asked for where nobody says so; empty: whatever there is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tidegate simulate`."""
    add = parser.add_argument
    add("file", metavar="FILE", nargs="?", help="configuration, YAML (default: all defaults)")
    engines = "what is simulated, one line or a YAML file, in place of FILE's backends unless it names them; by "
    engines += f"default {DEFAULT_PRESET} behind each backend of FILE, without FILE {DEFAULT_ENGINES}; what happens to "
    engines += f"an engine may follow a colon: {EXAMPLES}"
    add("--engines", metavar="LINE|FILE", help=engines.replace("%", "%%"))
    policy = "instead of the one of the configuration; options may follow: goodput/admission.mode=off/explore=0"
    add("--policy", metavar="NAME", help=policy)
    also = f"also play these policies or configurations (*.yaml), or the upper marks: {', '.join(REFERENCES)}"
    add("--compare", metavar="NAME|FILE,…", default="", help=also)
    sweep = f"play each value of one option: {WINDOW}=0,2,5,10 (milliseconds that jobs wait for others; 0: windows are "
    sweep += "off), or an option of a policy such as admission.duty=0.5,0.8; prints one line for each"
    add("--sweep", metavar="OPTION=V,…", default="", help=sweep)
    rules = "such as ttft=2s,tpot=100ms or interactive:ttft=200ms,tpot=40ms;bulk:none; the default, mooncake, is"
    promise = "TTFT 2 s or 3 unloaded prefills, TPOT 100 ms; ttft=3x: three unloaded prefills of each prompt"
    add("--slo", metavar="RULES", type=_slo, default="mooncake", help=f"{rules} {promise}")
    add("--seeds", metavar="N", type=_count, default=1, help="play seeds 1 to N (default: %(default)s)")
    add("--seed", metavar="N", type=int, help="play only this seed")
    add("--limit", metavar="N", type=_count, help="only the first N requests")
    files = "write report.json, groups.csv, intervals.csv, backends.csv and refusals.csv there"
    add("--out", metavar="DIR", type=Path, help=files)
    add("--interval", metavar="DURATION", type=_interval, default=INTERVAL_S, help="of intervals.csv (default: 10s)")
    models = "which models the traffic asks for where it does not say, such as a=3,b=1 (default: those that FILE lists)"
    add("--models", metavar="NAME=SHARE,…", type=_models, default={}, help=models)
    _add_traffic(parser)


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    traces = "our own format (proxy/workload/full_trace.py), Mooncake JSONL, Azure CSV, our access log in JSON; .gz too"
    source.add_argument("--trace", metavar="FILE", type=Path, help=traces)
    named = ", ".join(WORKLOADS)
    source.add_argument("--workload", metavar="NAME|FILE", help=f"made-up traffic: {named}, or a YAML file")
    add = parser.add_argument
    check.add_arguments(add, source)
    add("--speed", metavar="F", type=_factor, default=1.0, help="trace: pauses are divided by F")
    jitter = "trace: move each arrival by up to so much, by the seed"
    add("--jitter", metavar="DURATION", type=_duration, default=0.0, help=jitter)
    add("--skip-broken", action="store_true", help="trace: leave broken lines out instead of stopping at the first")
    add("--rate", metavar="N", type=_factor, help="workload: requests per second")
    add("--duration", metavar="DURATION", type=_duration, help="workload: how long it goes on")


def run(options: argparse.Namespace) -> int:
    """Play, print, write; 1 when the files are wrong or nothing was served."""
    if options.check_forecast or options.check_yesterday:
        return check.run(options)
    try:
        comparison, setting = play(options)
        print(f"engines: {setting['engines']}\n")
        width = width_of(sys.stdout)
        print(sweep_text(options.sweep, comparison) if options.sweep else contest_text(comparison, width), end="")
        if options.out:
            _write(options.out, comparison, setting)
            if options.sweep:
                _write_sweep(options, comparison)
        _check_served(comparison)
        if options.forecast is not None:
            _write_forecast(options, comparison, setting)
    except (UsageError, TraceError, ClusterError, WorkloadError) as error:
        print(f"tidegate simulate: {error}", file=sys.stderr)
        return 1
    return 0


def play(options: argparse.Namespace) -> tuple[Comparison, dict[str, Any]]:
    """What the options ask for, and a description of it. Raises one of the errors that `run` prints."""
    traffic = _traffic(options)
    contenders = contenders_of(options, traffic.block_tokens)
    seeds = [options.seed] if options.seed is not None else list(range(1, options.seeds + 1))
    models = options.models or traffic.models or listed(contenders[0].backends)

    @lru_cache(maxsize=1)
    def arrivals_of(seed: int) -> Sequence[Arrival]:
        return named(traffic.arrivals_of(seed), models)

    _check(options, contenders, arrivals_of(seeds[0]))
    with _progress() as progress:
        try:
            comparison = compare(contenders, seeds, arrivals_of, progress, options.interval)
        except ValueError as error:
            raise UsageError(f"--interval: {error}") from None
    engines = engines_said(options, contenders[0].backends)
    setting = {"traffic": traffic.said, "models": models, "engines": engines, "seeds": seeds, "argv": sys.argv[1:]}
    return comparison, setting


def _check(options: argparse.Namespace, contenders: Sequence[Contender], arrivals: Sequence[Arrival]) -> None:
    """What would be played for nothing. Raises UsageError."""
    asked = sorted({arrival.model for arrival in arrivals})
    for contender in contenders:
        unserved = [model for model in asked if not servable(model, contender.backends)]
        if unserved:
            serve = ", ".join(sorted({name for one in contender.backends for name in one.spec.models or ()}))
            words = f"the traffic asks for {', '.join(unserved[:8])}, and the backends serve {serve}"
            if len(unserved) == len(asked):
                raise UsageError(f"nothing can be served: {words}; --models says what is asked for where nobody does")
            print(f"{contender.name}: {words}", file=sys.stderr)
        for one in contender.backends:
            phase = one.course.beyond(arrivals[-1].at) if arrivals else None
            if phase is not None:
                end = f"the traffic, which ends at {arrivals[-1].at:.1f} s"
                raise UsageError(f"--engines: {one.spec.name}: '{phase}' begins after or outlasts {end}")
    classes = {arrival.traffic_class for arrival in arrivals} | classes_of(options.file) | {ANY_CLASS}
    strangers = [name for name in _rules(options) if name not in classes]
    if strangers:
        known = ", ".join(sorted(name for name in classes if name and name != ANY_CLASS))
        raise UsageError(f"--slo: no class is named {strangers[0]!r}; there are {known}")


def _check_served(comparison: Comparison) -> None:
    """Raises UsageError when all was in vain."""
    if any(run.report.total.served for run in comparison.runs):
        return
    whys: Counter[str] = Counter()
    for run in comparison.runs:
        whys.update(run.report.refusals)
        whys.update(run.report.faults)
    reasons = ", ".join(f"{why} {count}" for why, count in whys.most_common(4)) or "there was no request"
    raise UsageError(f"nothing was served, whoever decided: {reasons}")


# ---- traffic


def _traffic(options: argparse.Namespace) -> SimulatedTraffic:
    """Seed → arrivals, and what they are."""
    rules = _rules(options)
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

    return SimulatedTraffic(arrivals_of, {"workload": workload.model_dump(mode="json")}, BLOCK_TOKENS, workload.models)


def _rules(options: argparse.Namespace) -> SloRules:
    return options.slo if isinstance(options.slo, dict) else parse_slo(options.slo)


def _trace_traffic(options: argparse.Namespace, rules: SloRules) -> SimulatedTraffic:
    def trace_of(seed: int) -> Trace:
        return read_trace(
            options.trace, skip_broken=options.skip_broken, limit=options.limit, speed=options.speed,
            jitter_s=options.jitter, seed=seed,
        )  # fmt: skip

    trace = trace_of(1)
    _tell(trace)
    if options.jitter:
        moved = partial(_promised, trace_of, rules)
        return SimulatedTraffic(moved, _described(trace, options), trace.block_tokens, {})
    arrivals = promised(trace.arrivals, rules)
    return SimulatedTraffic(lambda _: arrivals, _described(trace, options), trace.block_tokens, {})


def _promised(trace_of: Callable[[int], Trace], rules: SloRules, seed: int) -> Sequence[Arrival]:
    return promised(trace_of(seed).arrivals, rules)


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


def _write(directory: Path, comparison: Comparison, setting: dict[str, Any]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "report.json").write_text(contest_json(comparison, setting))
        (directory / "groups.csv").write_text(groups_csv(comparison))
        (directory / "intervals.csv").write_text(intervals_csv(comparison))
        (directory / "backends.csv").write_text(backends_csv(comparison))
        (directory / "refusals.csv").write_text(refusals_csv(comparison))
    except OSError as error:
        raise UsageError(f"cannot write to {directory}: {error.strerror or error}") from None


def _write_forecast(options: argparse.Namespace, comparison: Comparison, setting: dict[str, Any]) -> None:
    """What the first of the contenders is expected to reach."""
    reports = [run.report for run in comparison.of(comparison.contenders()[0])]
    calibration = read_calibration(options.engines) if options.engines else None
    error = None if calibration is None else calibration.error
    traffic = str(options.trace or options.workload)
    check.write(options.forecast, check.forecast_of(reports, _rules(options), setting["engines"], traffic, error))
    print(f"\nforecast: {options.forecast}")


def _write_sweep(options: argparse.Namespace, comparison: Comparison) -> None:
    _write_text(options.out / "sweep.csv", sweep_csv(options.sweep, comparison))
    chart = sweep_chart(options.sweep, comparison)
    if chart is None:
        print("\nno chart: matplotlib is not installed (pip install 'tidegate[simulate]')", file=sys.stderr)
    else:
        _write_text(options.out / "sweep.svg", chart.decode())


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


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


def _interval(text: str) -> float:
    seconds = _duration(text)
    if seconds < 1e-3:
        raise argparse.ArgumentTypeError("must be at least 1ms")
    return seconds


def _models(text: str) -> dict[str, float]:
    try:
        return parse_models(text)
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
