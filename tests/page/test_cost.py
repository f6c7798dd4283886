"""What the page costs the proxy: CPU time with nobody, one and a hundred watching."""

import time
import urllib.request
from pathlib import Path

import pytest

from tests.support.patience import eventually

TICKS_PER_S = 100
FOR_S = 10.0
PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}


def cpu_s(proxy) -> float:
    fields = Path(f"/proc/{proxy.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def share(proxy, viewers: int) -> float:
    """Of a core, over some seconds, while so many watch and read."""
    watching = [urllib.request.urlopen(f"{proxy.admin_url}/events", timeout=5.0) for _ in range(viewers)]
    try:
        before, since = cpu_s(proxy), time.monotonic()
        while time.monotonic() - since < FOR_S:
            for viewer in watching:
                viewer.read1(1 << 20)
        return (cpu_s(proxy) - before) / (time.monotonic() - since)
    finally:
        for viewer in watching:
            viewer.close()


@pytest.mark.slow
def test_it_costs_next_to_nothing(start_pair):
    """Beyond what the proxy takes anyway: at most 2 % of a core for one viewer, 10 % for a hundred."""
    _, proxy = start_pair()
    for _ in range(60):
        proxy.ask("POST", PATH, CHAT)
    before = cpu_s(proxy)
    time.sleep(FOR_S)
    idle = (cpu_s(proxy) - before) / FOR_S
    one, hundred = share(proxy, 1), share(proxy, 100)
    print(f"of a core: nobody {idle:.2%}, one viewer {one:.2%}, a hundred {hundred:.2%}")
    assert one - idle <= 0.02
    assert hundred - idle <= 0.10
    eventually(lambda: proxy.metrics().total("tidegate_client_connections") == 0, "rest")
