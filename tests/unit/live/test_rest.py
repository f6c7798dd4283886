"""Three failures in a row are a rest of a second."""

import pytest

from proxy.live.rest import Rest
from tests.support.virtual_time import Clock


def test_it_rests_after_failures_in_a_row_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    rest = Rest("somebody", clock)
    for _ in range(2):
        rest.failed(OSError())
    rest.answered()
    for _ in range(2):
        rest.failed(OSError())
    assert rest.is_over
    rest.failed(OSError())
    assert not rest.is_over
    clock.now += 1.1
    assert rest.is_over
    rest.failed(OSError())
    assert not rest.is_over
    with caplog.at_level("INFO"):
        rest.answered()
    assert [record.message for record in caplog.records] == [
        "somebody does not answer (OSError); going on without it",
        "somebody answers again",
    ]
