"""What the scheduler decides is what it decided before, unless a change means to."""

from pathlib import Path

import pytest

from tests.sim.command_logs import TRACES, line

GOLDEN = (Path(__file__).parent / "golden" / "command_logs.txt").read_text().splitlines()


@pytest.mark.parametrize(("number"), range(len(TRACES)), ids=[made.__name__ for made in TRACES])
def test_the_same_commands(number: int) -> None:
    assert line(TRACES[number]) == GOLDEN[number]
