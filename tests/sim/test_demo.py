"""The demo as a newcomer runs it: one process, everything in it, nothing left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

COMMAND = [sys.executable, "-c", "from proxy.cli.main import main; raise SystemExit(main())", "demo"]
DEADLINE_S = 30


@contextmanager
def demo(*options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line.rstrip("\n"))
        if re.search(wanted, line):
            return seen
    raise AssertionError(f"the demo ended after {seen}: {process.stderr.read() if process.stderr else ''}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_shows_numbers_and_ends_cleanly(number: signal.Signals) -> None:
    with demo("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0") as process:
        seen = lines_until(process, r"^[1-9]\d* chats, .*TTFT p50 / p99 \d+ / \d+ ms \| [1-9][\d,]* tokens/s")
        text = "\n".join(seen)
        base = re.search(r"base URL +(\S+)/v1 ", text)
        metrics = re.search(r"metrics +(\S+)", text)
        assert base is not None
        assert metrics is not None
        assert f"curl -N {base[1]}/v1/chat/completions" in text
        with urllib.request.urlopen(f"{base[1]}/v1/models", timeout=5) as answer:
            assert [model["id"] for model in json.load(answer)["data"]] == ["demo"]
        with urllib.request.urlopen(metrics[1], timeout=5) as answer:
            assert b"tidegate_" in answer.read()
        process.send_signal(number)
        out, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (0, "")
    assert out.endswith("stopped\n")
    assert ", 0 failed" in seen[-1]


@pytest.mark.parametrize("option", ["--listen", "--admin"])
def test_a_port_in_use_is_one_line_with_the_fix(option: str) -> None:
    other = "--admin" if option == "--listen" else "--listen"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with demo(option, address, other, "127.0.0.1:0") as process:
            out, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert out == ""
    assert len(errors.splitlines()) == 1
    assert address in errors
    assert option in errors
