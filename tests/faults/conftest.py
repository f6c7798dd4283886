"""The fixtures of tests over sockets, and what each attack here may take of a proxy's memory."""

from collections.abc import Iterator

import pytest

from tests.support.bed import Bed
from tests.support.fixtures import leak_probe, start_backend, start_pair, start_proxy
from tests.support.memory import watched

__all__ = ["leak_probe", "memory_is_bounded", "start_backend", "start_pair", "start_proxy"]


@pytest.fixture(autouse=True)
def memory_is_bounded(request: pytest.FixtureRequest, bed: Bed) -> Iterator[None]:
    """No attack makes a proxy larger than it is idle by more than 32 MiB and twice the bytes that are in progress at
    once: those that `@pytest.mark.in_progress(BYTES)` says, and none where nothing does."""
    marker = request.node.get_closest_marker("in_progress")
    with watched(probe.proxy.process.pid for probe in bed.probes) as marks:
        yield
    for mark in marks:
        mark.assert_at_most(marker.args[0] if marker else 0)
