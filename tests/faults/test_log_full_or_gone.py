"""Standard streams that are full, gone or were closed at the start: the proxy serves, counts the lines it lost, and
ends with 0 and without a traceback."""

import json
import os

import pytest

from tests.faults.asking import CHAT, PATH
from tests.support.bed import backend_entry
from tests.support.odd_host import odd_host
from tests.support.patience import eventually

REQUESTS = 5


@pytest.fixture
def config(start_backend):
    return {"backends": [backend_entry(start_backend(), "alpha")]}


def dropped(proxy, log):
    return proxy.metrics().total("tidegate_log_lines_dropped_total", log=log)


def serves_and_stops(proxy, *, loses_access, loses_errors):
    proxy.ready()
    for _ in range(REQUESTS):
        assert proxy.ask("POST", PATH, CHAT).status == 200
    if loses_access:
        eventually(lambda: dropped(proxy, "access") >= REQUESTS, "the lost lines counted")
    if loses_errors:
        eventually(lambda: dropped(proxy, "operational") >= 6, "the banner among the lost lines")
    for log, loses in (("access", loses_access), ("operational", loses_errors)):
        assert loses or dropped(proxy, log) == 0
    for number in (0, 1, 2):
        assert not os.readlink(f"/proc/{proxy.process.pid}/fd/{number}").startswith(("socket:", "anon_inode:"))
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.stderr
    assert "Exception ignored" not in proxy.stderr


@pytest.mark.parametrize(
    ("redirections", "form", "loses_access", "loses_errors"),
    [
        (">/dev/full", "text", True, False),
        ("2>/dev/full", "json", False, True),
        (">/dev/full 2>/dev/full", "text", True, True),
        ("<&-", "text", False, False),
        (">&-", "json", True, False),
        ("2>&-", "text", False, True),
        (">&- 2>&-", "json", True, True),
        ("<&- >&- 2>&-", "text", True, True),
        ("<&- >&- 2>&-", "json", True, True),
    ],
)
def test_full_or_closed(config, redirections, form, loses_access, loses_errors):
    with odd_host(config, redirections, "", "--log-format", form) as proxy:
        serves_and_stops(proxy, loses_access=loses_access, loses_errors=loses_errors)


@pytest.mark.parametrize("redirection", [">&{0}", "2>&{0}", ">&{0} 2>&{0}"])
def test_the_reader_is_gone(config, redirection):
    reading, writing = os.pipe()
    with odd_host(config, redirection.format(writing), pass_fds=(writing,)) as proxy:
        os.close(writing)
        os.close(reading)
        serves_and_stops(proxy, loses_access=">&" in redirection[:2], loses_errors="2>" in redirection)


def test_it_is_said_once_in_the_other_log(config):
    with odd_host(config, ">/dev/full", "", "--log-format", "json") as proxy:
        serves_and_stops(proxy, loses_access=True, loses_errors=False)
        messages = [json.loads(line)["message"] for line in proxy.stderr.splitlines()]
        (told,) = [message for message in messages if "access log" in message]
        assert "no space left on device" in told
