"""One form for every line, from the first warning about the file to the end, and for a start that cannot be."""

import json
import re

import pytest

from tests.support.bed import backend_entry
from tests.support.odd_host import odd_host
from tests.support.patience import eventually

TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (--|[A-Z]{2}|DEBUG|INFO|WARNING|ERROR|CRITICAL) \S+ \S.*")


@pytest.fixture
def config(start_backend):
    warned = backend_entry(start_backend(), "alpha", api_key="a-key-in-plain-text")
    return {"backends": [warned, {"name": "dead", "url": "http://127.0.0.1:9"}]}


def all_lines(proxy):
    return (proxy.stdout + proxy.stderr).splitlines()


@pytest.mark.parametrize("level", ["debug", "error"])
def test_json(config, level):
    with odd_host(config, "", "", "--log-format", "json", "--log-level", level) as proxy:
        proxy.ready()
        assert proxy.ask("GET", "/nowhere").status == 404
        assert proxy.stop() == 0
        lines = [json.loads(line) for line in all_lines(proxy)]
        assert all(set(line) >= {"time"} for line in lines)
        assert any("listening on" in line.get("message", "") for line in lines)
        assert any("api_key" in line.get("message", "") for line in lines) == (level == "debug")
        assert "a-key-in-plain-text" not in proxy.stderr


def test_text(config):
    with odd_host(config) as proxy:
        proxy.ready()
        assert proxy.ask("GET", "/nowhere").status == 404
        eventually(lambda: "dead is down" in proxy.stderr, "a backend that is down")
        assert proxy.stop() == 0
        odd = [line for line in all_lines(proxy) if not TEXT.fullmatch(line)]
        assert odd == []


@pytest.mark.parametrize("wrong", [{"backends": [{"url": "http://a", "wieght": 2}]}, {"backends": 7}])
def test_a_wrong_file(wrong):
    with odd_host(wrong, "", "", "--log-format", "json") as proxy:
        assert proxy.wait() == 1
        lines = [json.loads(line) for line in all_lines(proxy)]
        assert "nothing was started" in lines[-1]["message"]
        assert {line["level"] for line in lines} == {"error"}


def test_a_taken_port(config):
    with odd_host(config) as first:
        first.ready()
        taken = f"127.0.0.1:{first.port}"
        with odd_host(config, "", "", "--log-format", "json", "--listen", taken) as second:
            assert second.wait() == 1
            lines = [json.loads(line) for line in all_lines(second)]
            assert "Cannot listen" in lines[-1]["message"]
        assert first.stop() == 0
