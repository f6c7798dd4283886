"""Options that several of the commands that forecast have."""

import argparse
from pathlib import Path
from typing import Any

from proxy.app.forecast.calibrate import share
from proxy.sim.world.slo import SloRules, parse_slo


def trace(group: Any, *, required: bool = False) -> None:
    """What came."""
    about = "recorded traffic: the proxy's access log in JSON, or any trace that simulate reads; .gz too"
    group.add_argument("--trace", metavar="LOG", type=Path, required=required, help=about)


def slo(group: Any, *, required: bool) -> None:
    """What is good."""
    about = "what a good request keeps, such as ttft=2s,tpot=100ms, or by class as simulate takes it"
    group.add_argument("--slo", metavar="RULES", type=rules, required=required, help=about)


def engines(group: Any, about: str, *, required: bool = False) -> None:
    """What is modelled."""
    about = f"{about}; calibrate writes such a file"
    group.add_argument("--engines", metavar="LINE|FILE", required=required, help=about)


def goal(group: Any) -> None:
    """How many are to be good."""
    about = "share of the requests that are to be good (default: 99%%)"
    group.add_argument("--goal", metavar="SHARE", type=share, default=0.99, help=about)


def seeds(group: Any) -> None:
    """How often each is played."""
    about = "play each with seeds 1 to N (default: %(default)s)"
    group.add_argument("--seeds", metavar="N", type=int, choices=range(1, 65), default=1, help=about)


def speed(group: Any) -> None:
    """The same traffic, denser."""
    about = "pauses of the trace are divided by F: 1.5 is half as much again (default: %(default)s)"
    group.add_argument("--speed", metavar="F", type=factor, default=1.0, help=about)


def rules(text: str) -> SloRules:
    """Of --slo."""
    try:
        return parse_slo(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def factor(text: str) -> float:
    """Above 0."""
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError("must be above 0")
    return number
