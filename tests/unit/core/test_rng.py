"""Nothing happens by chance."""

import random

from proxy.core.rng import NoChance, Rng


def drawn(rng: Rng) -> tuple[float, int]:
    return rng.random(), rng.randrange(9)


def test_without_chance_nothing_happens_and_the_first_is_taken() -> None:
    assert drawn(NoChance()) == (1.0, 0)


def test_a_seeded_generator_of_the_library_is_one() -> None:
    assert drawn(random.Random(1)) == drawn(random.Random(1))
