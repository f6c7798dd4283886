"""Every engine is restarted in its turn under load: nobody notices."""

import threading
import time

import pytest

from tests.faults.asking import PATH, chat
from tests.support.bed import backend_entry


@pytest.mark.parametrize("policy", ["goodput", "least_outstanding"])
def test_a_rolling_restart_loses_nobody(start_backend, start_proxy, policy):
    engines = [start_backend() for _ in range(3)]
    entries = [backend_entry(engine, f"b{number}", models=["fake-model"]) for number, engine in enumerate(engines)]
    proxy = start_proxy({"backends": entries, "routing": {"policy": policy}})
    done = threading.Event()
    statuses: list[int] = []

    def one_client(stream: bool) -> None:
        while not done.is_set():
            statuses.append(proxy.ask("POST", PATH, chat(stream)).status)

    clients = [threading.Thread(target=one_client, args=(number % 2 == 0,)) for number in range(4)]
    for client in clients:
        client.start()
    for engine in engines:
        engine.stop()
        time.sleep(0.5)  # as long as it is away
        engine.start()
        time.sleep(1.5)  # until it is found again
    done.set()
    for client in clients:
        client.join(10)
    assert len(statuses) > 100
    assert set(statuses) == {200}
