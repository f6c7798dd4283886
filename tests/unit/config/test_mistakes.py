"""Mistakes that people make, in files as people have them: each found, on its line, with what to do, and once.

Others are drawn by hand: `python -m tests.support.mistakes SEED COUNT` prints those that are told badly.
"""

import pytest

from tests.support.mistakes import KINDS, mistakes
from tests.support.mistakes.bases import BASES
from tests.support.mistakes.judge import fault_of, shown, told

SEED = 17
OF_EACH_KIND = 3


@pytest.mark.parametrize("base", BASES)
def test_the_files_are_right_before_anything_is_changed(base: str) -> None:
    assert told(BASES[base]) == []


def test_a_hundred_of_a_hundred_are_told_well() -> None:
    found = list(mistakes(SEED, 100))
    assert len(found) == len({one.text for one in found}) == 100
    assert len({one.kind for one in found}) > 75
    bad = [f"{fault}: {shown(one)}" for one in found if (fault := fault_of(one))]
    assert not bad, "\n\n".join(bad)


def test_every_kind_of_mistake_at_several_places() -> None:
    found = list(mistakes(SEED + 1, OF_EACH_KIND * len(KINDS)))
    assert {one.kind for one in found} == set(KINDS)
    bad = [f"{fault}: {shown(one)}" for one in found if (fault := fault_of(one))]
    assert not bad, "\n\n".join(bad)
