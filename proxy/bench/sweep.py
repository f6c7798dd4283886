"""What a run is made of: cells, each one combination of what is swept.

    seeds x options of the proxy x models x loads

Owns the words of `--sweep` and the ids of cells. The order is that in which least is changed: a proxy is reconfigured
once for all loads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from proxy.bench.run_file import Arrivals

MODEL: Final = "model"
CELLS_MAX: Final = 1000


class SweepError(Exception):
    """Words that make no sweep; the message says why."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that is swept: `model`, `backend`, `precision`, or an option of the proxy by its path."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """One cell, still without what was found out of the target."""

    id: str
    seed: int
    settings: tuple[tuple[str, str], ...]
    """Of the proxy: option → value; `backend` and `precision` too."""
    model: str
    """Empty: the only one."""
    arrivals: Arrivals


def axis_of(text: str) -> Axis:
    """`window.max_wait=0,5,10`. Raises SweepError."""
    key, equals, values = text.partition("=")
    found = tuple(value.strip() for value in values.split(",") if value.strip())
    if not equals or not key.strip() or not found:
        raise SweepError(f"{text[:64]!r}: write it like window.max_wait=0,5,10")
    check_twice(key.strip(), found)
    return Axis(key.strip(), found)


def check_twice(what: str, values: Sequence[object]) -> None:
    """Raises SweepError for a value that is there twice."""
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise SweepError(f"{what} {twice[0]} is there twice: it would be the same requests, not another sample")


def combinations(seeds: Sequence[int], axes: Sequence[Axis], loads: Sequence[Arrivals]) -> list[Combination]:
    """All of them. Raises SweepError."""
    check_twice("seed", seeds)
    for number, axis in enumerate(axes):
        if axis.key in [other.key for other in axes[:number]]:
            raise SweepError(f"{axis.key} is swept twice; write its values behind one another")
    models = next((axis.values for axis in axes if axis.key == MODEL), ("",))
    options = [axis for axis in axes if axis.key != MODEL]
    settings = product(*([(axis.key, value) for value in axis.values] for axis in options))
    found = [
        Combination(_id(seeds, seed, chosen, model, load), seed, chosen, model, load)
        for chosen, model, seed, load in product(list(settings), models, seeds, loads)
    ]
    if len(found) > CELLS_MAX:
        raise SweepError(f"{len(found):,} combinations; at most {CELLS_MAX:,}")
    return found


def _id(seeds: Sequence[int], seed: int, settings: Iterable[tuple[str, str]], model: str, arrivals: Arrivals) -> str:
    words = [f"{key}={value}" for key, value in settings]
    if model:
        words.append(f"model={model}")
    if len(seeds) > 1:
        words.append(f"seed={seed}")
    return ",".join([*words, load_words(arrivals)])


def load_words(arrivals: Arrivals) -> str:
    """A load in a few words."""
    if arrivals.process == "closed":
        return f"concurrency={arrivals.concurrency}"
    if arrivals.process == "trace":
        return f"speed={arrivals.speed or 1:g}"
    burst = f",cv={arrivals.cv:g}" if arrivals.process == "gamma" and arrivals.cv else ""
    return f"rate={arrivals.rate_per_s:g}{burst}"
