"""Mistakes that people make in the routing file, made by a seed: what was done, on which line, and what to be told.

Owns the drawing. The kinds stand in the files beside; those in which they are made in `bases`.
"""

import random
from collections.abc import Iterator

from tests.support.mistakes import addresses, keys, pasted, references, syntax, values
from tests.support.mistakes.base import Base
from tests.support.mistakes.bases import BASES
from tests.support.mistakes.mistake import Kind, Mistake

_ALL = (keys, values, addresses, references, syntax, pasted)
KINDS: dict[str, Kind] = {name: kind for module in _ALL for name, kind in module.KINDS.items()}

_TRIES = 20


def mistakes(seed: int, count: int) -> Iterator[Mistake]:
    """So many, every kind as often as the others, each in another place."""
    rng = random.Random(seed)
    bases = [Base(name) for name in BASES]
    names = list(KINDS)
    found, seen = 0, set[str]()
    while found < count:
        rng.shuffle(names)
        for name in names:
            made = _made(name, bases, rng, seen)
            if made is not None and found < count:
                found += 1
                yield made


def _made(name: str, bases: list[Base], rng: random.Random, seen: set[str]) -> Mistake | None:
    for _ in range(_TRIES):
        base = rng.choice(bases)
        made = KINDS[name](base, rng)
        if made is None or made.text in seen or made.text == base.text:
            continue
        seen.add(made.text)
        return made._replace(kind=name, base=base.name)
    return None
