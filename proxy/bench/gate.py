"""What a comparison must not find: `p99_ttft>+5%`, `success<-1%`, `p50_e2e>+20ms`, for who builds and releases.

Owns the syntax and the verdict. A condition is met only by a change that is beyond its limit *and* more than noise;
what cannot be told for want of values does not pass as good.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from proxy.bench.comparison import BY_NAME, Change, Figure

_SYNTAX: Final = re.compile(r"([a-z0-9_]+)\s*([<>])\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*(%|ms|s|points?)")
Verdict = Literal["pass", "fail", "within noise", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One that fails a comparison."""

    text: str
    figure: Figure
    above: bool
    """Whether it is a change above the limit that fails, or one below."""
    limit: float
    """Of the change, percent or the figure's unit."""
    relative: bool


def condition(text: str) -> Condition:
    """Raises ValueError with what is wrong."""
    match = _SYNTAX.fullmatch(text.strip().lower())
    if not match:
        raise ValueError(f"{text!r} is none of p99_ttft>+5%, p50_e2e>+20ms, success<-1%")
    name, sign, number, unit = match.groups()
    figure = BY_NAME.get(name)
    if figure is None:
        raise ValueError(f"{name!r} is not compared; known: {', '.join(BY_NAME)}")
    is_share = figure.statistic == "share"
    if is_share and unit not in ("%", "point", "points"):
        raise ValueError(f"{text!r}: {name} is a share: its change is in % (points)")
    if not is_share and unit.startswith("point"):
        raise ValueError(f"{text!r}: {name} is a time: its change is in %, ms or s")
    limit = float(number) * (1000.0 if unit == "s" else 1.0)
    # A share changes by points: 99 % to 98 % is -1 %.
    return Condition(text.strip(), figure, sign == ">", limit, relative=unit == "%" and not is_share)


def verdict(wanted: Condition, change: Change | None) -> Verdict:
    """Of what was found of its figure; None: nothing."""
    found = None if change is None else change.relative if wanted.relative else change.absolute
    if found is None or change is None:
        return "cannot tell"
    value, low, high = found
    is_beyond = value > wanted.limit if wanted.above else value < wanted.limit
    if not is_beyond:
        return "pass"
    is_clear = (low > min(0.0, wanted.limit)) if wanted.above else (high < max(0.0, wanted.limit))
    return "fail" if is_clear else "within noise"
