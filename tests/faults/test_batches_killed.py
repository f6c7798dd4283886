"""A proxy that is killed at random moments loses no line of a batch, and gives none two results."""

import pytest

from tests.support.batch_kills import play

pytestmark = pytest.mark.slow
KILLS = 10


def test_killed_again_and_again_nothing_is_lost_and_nothing_is_doubled(bed, tmp_path):
    found = play(bed, tmp_path / "store", KILLS, seed=1)
    assert (found.kills, found.lost, found.doubled) == (KILLS, 0, 0), found
    assert found.batches > 0
    assert found.asked >= found.lines
