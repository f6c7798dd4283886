"""Several workers, as an operator starts them: real processes, real sockets, real deaths."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.proxy_process import START_DEADLINE_S, ProxyProcess, assert_clean
from tests.support.raw_client import RawConnection, request_bytes

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hello"}]}


def children(pid: int) -> dict[int, int]:
    """Processes of a parent, by the number of the worker."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    words = {int(one): Path(f"/proc/{one}/cmdline").read_text().split("\0") for one in found}
    return {int(said[-2].removeprefix("worker-")): one for one, said in words.items() if "worker-" in said[-2]}


def messages(proxy: ProxyProcess) -> list[str]:
    return [json.loads(line)["message"] for line in proxy.stderr]


class Workers:
    """A proxy of two workers, and who serves which connection."""

    def __init__(self, config: Any, stack: ExitStack, *arguments: str) -> None:
        self._stack = stack
        self.proxy = ProxyProcess({"workers": 2, **config}, *arguments)
        self.proxy.listening()
        self.said("worker 2 of 2 is ready")

    @property
    def pid(self) -> int:
        """Of the parent."""
        return self.proxy.process.pid

    def said(self, text: str, times: int = 1) -> None:
        """In the log, so often."""

        def is_said() -> bool:
            return sum(text in message for message in messages(self.proxy)) >= times

        eventually(is_said, f"{text!r} in the log: {self.proxy.error_text}", START_DEADLINE_S)

    def connected(self, number: int) -> RawConnection:
        """A connection that this worker has accepted: the other one stands still meanwhile."""
        other = children(self.pid)[3 - number]
        os.kill(other, signal.SIGSTOP)
        try:
            connection = self._stack.enter_context(self.proxy.connect())
            connection.send(request_bytes("GET", "/v1/models"))
            assert connection.answer().status == 200
        finally:
            os.kill(other, signal.SIGCONT)
        return connection

    def kill(self, number: int, what: int = signal.SIGKILL) -> int:
        """A worker; which process it was."""
        pid = children(self.pid)[number]
        os.kill(pid, what)
        return pid


@pytest.fixture
def start(start_backend: Any) -> Iterator[Callable[..., Workers]]:
    """Starts proxies of two workers before one engine; they end with 0 unless killed, and without a traceback."""
    engine = start_backend()
    with ExitStack() as stack:
        made: list[Workers] = []

        def begin(config: Any = None, *arguments: str) -> Workers:
            made.append(Workers({"backends": [backend_entry(engine, "alpha")], **(config or {})}, stack, *arguments))
            return made[-1]

        try:
            yield begin
        finally:
            codes = [workers.proxy.stop() for workers in made]
        for workers in made:
            assert_clean(workers.proxy)
        assert set(codes) <= {0, -signal.SIGKILL}  # one test kills the parent


def chat(connection: RawConnection, script: str = "", **headers: str) -> None:
    asked = [*headers.items(), *([("x-fake", script)] if script else [])]
    stream = script.startswith("stream")
    connection.send(request_bytes("POST", PATH, {**CHAT, "stream": stream}, asked))


def until_closed(connection: RawConnection) -> Iterator[bytes]:
    with suppress(ConnectionError):
        while data := connection.read_some(20.0):
            yield data


def in_flight(workers: Workers) -> float:
    return workers.proxy.metrics().total("tidegate_backend_in_flight")


def served(workers: Workers) -> float:
    return workers.proxy.metrics().total("tidegate_requests_total", endpoint="chat.completions", verdict="served")


def read_stream(connection: RawConnection) -> bytes:
    answer = connection.answer(deadline_s=60.0)
    assert answer.status == 200
    return answer.body


def test_each_worker_serves_and_all_is_counted_and_logged_once(start: Any) -> None:
    workers = start()
    for number in (1, 2):
        connection = workers.connected(number)
        for _ in range(3):
            chat(connection)
            answer = connection.answer()
            assert answer.status == 200
            line = workers.proxy.log_line(answer.head.get("x-request-id"), 20.0)
            assert (line["status"], line["backend"], line["attempts"]) == (200, "alpha", 1)
            assert f"backend={line['backend']}" in answer.head.get("x-tidegate-route")
        chat(connection, "stream 3 0.01")
        assert read_stream(connection).endswith(b"[DONE]\n\n")
    eventually(lambda: served(workers) == 8, "eight requests", 20.0)
    assert in_flight(workers) == 0


def test_a_worker_that_dies_takes_no_others_stream_along(start: Any) -> None:
    workers = start()
    one, two = workers.connected(1), workers.connected(2)
    for connection in (one, two):
        chat(connection, "stream 40 0.1")
        assert connection.answer_head().status == 200
    eventually(lambda: in_flight(workers) == 2, "two streams", 20.0)
    workers.kill(2)
    workers.said("worker 2 ended by signal 9")
    assert b"[DONE]" not in b"".join(until_closed(two))
    eventually(lambda: in_flight(workers) == 1, "its place is free", 20.0)
    assert b"t39" in b"".join(one.chunks(60.0))
    workers.said("worker 2 of 2 is ready", 2)
    three = workers.connected(2)
    chat(three)
    assert three.answer().status == 200


def test_while_the_decider_is_away_the_other_decides(start: Any) -> None:
    """Its stream goes on, its next request is served, and both are counted by the decider that comes after."""
    workers = start()
    two = workers.connected(2)
    chat(two, "stream 30 0.1")
    assert two.answer_head().status == 200
    eventually(lambda: in_flight(workers) == 1, "a stream", 20.0)
    workers.kill(1)
    workers.said("this worker decides alone")
    assert b"t29" in b"".join(two.chunks(60.0))
    chat(two)
    assert two.answer().status == 200
    workers.said("listening on", 2)
    eventually(lambda: served(workers) == 2, "what ended meanwhile is counted", START_DEADLINE_S)
    chat(two)
    assert two.answer().status == 200
    eventually(lambda: served(workers) == 3, "and what comes after", 20.0)
    assert in_flight(workers) == 0


def test_limits_of_a_tenant_are_those_of_all_workers(start: Any) -> None:
    tenant = sha256(b"sk-first").hexdigest()[:8]
    workers = start({"routing": {"tenants": [{"tenant": tenant, "requests_per_minute": 3}]}})
    one, two = workers.connected(1), workers.connected(2)
    found = []
    for connection in (one, two, one, two, one):
        chat(connection, authorization="Bearer sk-first")
        answer = connection.answer()
        found.append((answer.status, answer.head.get("x-ratelimit-remaining-requests")))
    assert found == [(200, "2"), (200, "1"), (200, "0"), (429, "0"), (429, "0")]


def test_one_reload_is_everybodys(start: Any) -> None:
    workers = start({"reload": {"watch": False}})
    connections = [workers.connected(number) for number in (1, 2)]
    config = yaml.safe_load(workers.proxy.config_path.read_text())
    workers.proxy.config_path.write_text(yaml.safe_dump({**config, "classes": [{"name": "gold"}]}))
    for connection in connections:
        chat(connection, **{"x-tidegate-class": "gold"})
        assert connection.answer().status == 400
    os.kill(workers.pid, signal.SIGHUP)
    workers.said("the configuration was reloaded")

    def is_known(connection: RawConnection) -> bool:
        chat(connection, **{"x-tidegate-class": "gold"})
        return connection.answer().status == 200

    for connection in connections:
        eventually(lambda connection=connection: is_known(connection), "the class gold", 20.0)
    config["backends"] = "nonsense"
    workers.proxy.config_path.write_text(yaml.safe_dump(config))
    workers.kill(1)
    workers.said("listening on", 2)
    one = workers.connected(1)
    assert is_known(one), "the decider starts with what was right last"


def test_one_drain_is_everybodys(start: Any) -> None:
    workers = start()
    connections = [workers.connected(number) for number in (1, 2)]
    for connection in connections:
        chat(connection, "stream 15 0.1")
        assert connection.answer_head().status == 200
    workers.proxy.terminate()
    for connection in connections:
        assert b"t14" in b"".join(connection.chunks(60.0))
    assert workers.proxy.process.wait(30.0) == 0
    logged = [line for line in workers.proxy.log if line["endpoint" if "endpoint" in line else "path"] == PATH]
    assert [line["status"] for line in logged] == [200, 200]


def test_one_worker_that_is_told_to_stop_drains_and_is_replaced(start: Any) -> None:
    workers = start()
    two = workers.connected(2)
    chat(two, "stream 15 0.1")
    assert two.answer_head().status == 200
    workers.kill(2, signal.SIGTERM)
    assert b"t14" in b"".join(two.chunks(60.0))
    workers.said("worker 2 of 2 is ready", 2)
    assert workers.proxy.ask("POST", PATH, CHAT).status == 200


def test_workers_without_a_parent_end(start: Any) -> None:
    workers = start()
    pids = [*children(workers.pid).values()]
    os.kill(workers.pid, signal.SIGKILL)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "their end", 30.0)
