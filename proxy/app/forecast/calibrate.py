"""`tidegate calibrate`: modelled engines from a recorded access log, and how far they are off on time not fitted to."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from proxy.bench.forecast.calls import Call, Calls, CallsError, excluded, read_calls, split_by_time
from proxy.report.forecast import REFUSED_ABOVE
from proxy.report.tables import table, width_of

if TYPE_CHECKING:
    from proxy.bench.forecast.errors import Figure
    from proxy.bench.forecast.fitting import Constants

LEAST_HELD_OUT = 20
"""Calls to judge a backend by."""
STEADY = 100
"""Calls from which on the median of one backend decides whether a forecast is made."""
_ALL = "all"


class Judged(NamedTuple):
    """One backend."""

    name: str
    constants: "Constants"
    fitted: int
    figures: list["Figure"]
    held_out: list[tuple[Call, Any]]
    """Each with its modelled times."""
    longest: int
    """Tokens of prompt and answer."""


class Calibrated(NamedTuple):
    """All that could be fitted."""

    backends: list[Judged]
    figures: list["Figure"]
    """Of all together."""
    too_few: list[str]
    """Backends that could not be fitted, and why."""

    @property
    def error(self) -> float:
        """The largest, of all together, or of the medians of a backend that has enough calls for them to be steady."""
        from proxy.bench.forecast.errors import worst

        many = [figure for one in self.backends for figure in one.figures if figure.n >= STEADY]
        medians = [figure for figure in many if figure.name.endswith("p50")]
        return worst([*self.figures, *medians])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tidegate calibrate`."""
    log = "access log of the proxy (log: {format: json}), in as many files as it was rotated into; .gz too"
    parser.add_argument("log", metavar="LOG", nargs="+", type=Path, help=log)
    out = "what to write, for --engines of simulate, plan and tune (default: %(default)s)"
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("engines.yaml"), help=out)
    held = "the last calls in order of time, to which nothing is fitted (default: 30%%)"
    parser.add_argument("--holdout", metavar="SHARE", type=share, default=0.3, help=held)


def run(options: argparse.Namespace) -> int:
    """Fit, judge, print, write; 1 where nothing can be learned, or what was is too far off."""
    if find_spec("scipy") is None:
        return _said("scipy is not installed; fix: pip install 'tidegate[bench]'")
    try:
        calls = read_calls(options.log)
        found = calibrated(calls, options.holdout)
    except CallsError as error:
        return _said(str(error))
    print("\n".join(told(calls, found)))
    for why in found.too_few:
        print(f"tidegate calibrate: {why}", file=sys.stderr)
    try:
        options.out.write_text(as_yaml(options.log, options.holdout, calls, found), encoding="utf-8")
    except OSError as error:
        return _said(f"cannot write {options.out}: {error.strerror or error}")
    print(f"\nwritten: {options.out}")
    if found.error > REFUSED_ABOVE:
        return _said(
            f"{found.error:.1%} off on held-out time, above {REFUSED_ABOVE:.0%}: no forecast is made of {options.out}"
        )
    return 0


def calibrated(calls: Calls, holdout: float) -> Calibrated:
    """Each backend by itself. Raises CallsError where none has enough calls."""
    from proxy.app.forecast.replay import replay
    from proxy.bench.forecast.errors import figures
    from proxy.bench.forecast.fitting import fit

    backends, too_few = [], []
    fit_all, _ = split_by_time(calls.calls, holdout)
    cut = fit_all[-1].sent if fit_all else calls.calls[0].sent
    for name in calls.backends():
        own = calls.of(name)
        before = [call for call in own if call.sent <= cut]
        held = [call for call in own if call.sent > cut and call.is_judged]
        if len(held) < LEAST_HELD_OUT:
            too_few.append(f"{name}: {len(held)} calls in the held-out time; at least {LEAST_HELD_OUT} are needed")
            continue
        try:
            constants = fit(before, replay)
        except ValueError as error:
            too_few.append(f"{name}: {error}")
            continue
        times = replay(constants, own)
        judged = [(call, time) for call, time in zip(own, times, strict=True) if call.sent > cut and call.is_judged]
        longest = max(call.prompt + call.output for call in own)
        backends.append(Judged(name, constants, len(before), figures(*_sides(judged)), judged, longest))
    if not backends:
        raise CallsError(f"too few calls to learn from: {'; '.join(too_few)} ({excluded(calls)})")
    everything = [pair for one in backends for pair in one.held_out]
    return Calibrated(backends, figures(*_sides(everything)), too_few)


def _sides(pairs: Sequence[tuple[Call, Any]]) -> tuple[list[Call], list[Any]]:
    return [call for call, _ in pairs], [time for _, time in pairs]


def told(calls: Calls, found: Calibrated) -> list[str]:
    """For people."""
    from proxy.bench.forecast.company import UNKNOWNS

    lines = [f"{len(calls.calls):,} calls to {len(calls.backends())} backends; left out: {excluded(calls)}"]
    if calls.without_cached:
        lines.append(f"{calls.without_cached:,} calls whose engine does not say what it had in its cache")
    lines += ["", "on held-out time, after dispatch (came → modelled):"]
    header = ("backend", "calls", "TTFT P50", "TTFT P99", "TPOT P50", "E2E P50")
    rows = [_error_row(one.name, len(one.held_out), one.figures) for one in found.backends]
    rows.append(_error_row(_ALL, sum(len(one.held_out) for one in found.backends), found.figures))
    lines += [table(header, rows, width=width_of(sys.stdout)).rstrip("\n"), "", "constants:"]
    names = ("backend", *(name.replace("_", " ") for name in UNKNOWNS), "token budget", "seats")
    constants = [
        (one.name, *(f"{getattr(one.constants, name):.4g}" for name in UNKNOWNS), str(one.constants.token_budget),
         str(one.constants.max_num_seqs) if one.constants.is_seated else "none seen")
        for one in found.backends
    ]  # fmt: skip
    return [*lines, table(names, constants, width=width_of(sys.stdout)).rstrip("\n")]


def _error_row(name: str, n: int, figures: Sequence["Figure"]) -> tuple[str, ...]:
    by_name = {figure.name: figure for figure in figures}
    cells = [by_name.get(key) for key in ("ttft_p50", "ttft_p99", "tpot_p50", "e2e_p50")]
    return (name, f"{n:,}", *("n too small" if one is None else _figure(one) for one in cells))


def _figure(figure: "Figure") -> str:
    return f"{figure.came * 1e3:,.1f} → {figure.modelled * 1e3:,.1f} ms ({figure.error:+.1%})"


def as_yaml(logs: Sequence[Path], holdout: float, calls: Calls, found: Calibrated) -> str:
    """The file that `--engines` takes."""
    from proxy.bench.forecast.company import UNKNOWNS

    engines = []
    for one in found.backends:
        constants: dict[str, Any] = {name: float(f"{getattr(one.constants, name):.6g}") for name in UNKNOWNS}
        constants |= {"token_budget": one.constants.token_budget, "max_num_seqs": one.constants.max_num_seqs}
        if one.longest > 262_144:
            constants |= {"max_model_len": one.longest, "kv_tokens": one.longest + 16}
        engines.append({"backend": one.name, "preset": "mooncake16", "constants": constants})
    judged = {one.name: one.figures for one in found.backends} | {_ALL: found.figures}
    said = {
        "error": round(found.error, 4),
        "log": [path.name for path in logs],
        "holdout": holdout,
        "requests": {
            "fitted": sum(one.fitted for one in found.backends),
            "held_out": sum(len(one.held_out) for one in found.backends),
            "left_out": sum(calls.left_out.values()),
        },
        "figures": {
            name: {one.name: round(one.error, 4) for one in figures} for name, figures in judged.items()
        },
    }  # fmt: skip
    head = "# Written by `tidegate calibrate`: seconds and tokens, fitted to an access log.\n"
    head += f"# Largest error on held-out time: {found.error:.1%}; above {REFUSED_ABOVE:.0%} nothing is forecast.\n"
    return head + yaml.safe_dump({"calibration": said, "engines": engines}, sort_keys=False, allow_unicode=True)


def share(text: str) -> float:
    """`30%` or 0.3. Raises ArgumentTypeError."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("must be a share between 0 and 1, such as 30%")
    return value


def _said(text: str) -> int:
    print(f"tidegate calibrate: {text}", file=sys.stderr)
    return 1
