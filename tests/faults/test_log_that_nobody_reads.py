"""A log is a pipe that nobody reads: requests, probes and the drain go on; who reads at last finds every line."""

import json
import os
import time

import pytest

from tests.faults.asking import CHAT, PATH
from tests.support.bed import backend_entry
from tests.support.odd_host import odd_host, unread_pipe
from tests.support.patience import eventually

REQUESTS = 300


@pytest.fixture
def config(start_backend):
    return {"backends": [backend_entry(start_backend(), "alpha")], "drain": {"readiness": "0s", "streams": "2s"}}


@pytest.mark.parametrize("redirection", [">&{0}", "2>&{0}", ">&{0} 2>&{0}"])
def test_everything_goes_on(config, redirection):
    with unread_pipe() as (_, writing), odd_host(config, redirection.format(writing), pass_fds=(writing,)) as proxy:
        proxy.ready()
        assert set(proxy.ask_often(REQUESTS, "POST", PATH, CHAT)) == {200}
        assert proxy.admin("/readyz") == 200
        assert proxy.metrics().total("tidegate_requests_total", verdict="served") >= REQUESTS
        began = time.monotonic()
        assert proxy.stop() == 0
        assert time.monotonic() - began < 2.0 + 2 * 1.0 + 1.0, "the drain, and a second for each log"


def test_no_line_is_lost_while_there_is_room_for_it(config):
    with (
        unread_pipe() as (reading, writing),
        odd_host(config, f">&{writing}", "", "--log-format", "json", pass_fds=(writing,)) as proxy,
    ):
        proxy.ready()
        proxy.ask_often(REQUESTS, "POST", PATH, CHAT)
        seen = b""

        def served() -> int:
            nonlocal seen
            seen += os.read(reading, 1 << 20)
            return seen.count(b'"path":"/v1/chat/completions"')

        eventually(lambda: served() == REQUESTS, "the line of every request", 5.0)
        assert proxy.metrics().total("tidegate_log_lines_dropped_total") == 0
        assert proxy.stop() == 0
        assert all(json.loads(line) for line in seen.splitlines() if line.strip())
