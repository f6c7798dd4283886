"""A start that cannot be: one clear line and a status, never a traceback."""

import pytest

from tests.support.bed import backend_entry
from tests.support.proxy_process import ProxyProcess


@pytest.mark.parametrize("which", ["--listen", "--admin"])
def test_a_second_proxy_on_the_same_port_says_so_in_one_line(proxy, engine, which):
    port = proxy.port if which == "--listen" else proxy.admin_port
    second = ProxyProcess({"backends": [backend_entry(engine, "alpha")]}, which, f"127.0.0.1:{port}")
    assert second.wait() == 1
    lines = [line for line in second.stderr if line.strip()]
    assert len(lines) == 1, lines
    assert str(port) in lines[0]
    assert "in use" in lines[0]
    assert proxy.ask("GET", "/v1/models").status == 200


def test_a_broken_configuration_never_starts(engine):
    broken = ProxyProcess({"backends": [{"url": engine.url, "wieght": 2}]})
    assert broken.wait() == 1
    assert "wieght" in broken.error_text
    assert "Traceback" not in broken.error_text
    assert not broken.log
