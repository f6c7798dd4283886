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
from itertools import islice

import pytest

from proxy.app.demo import LINE_EVERY_S, _pauses

COMMAND = [sys.executable, "-c", "from proxy.cli.main import main; raise SystemExit(main())", "demo"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}
DEADLINE_S = 30


@contextmanager
def demo(*options: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "PYTHONWARNINGS": "default", **settings},
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
        seen = lines_until(
            process, r"^[1-9]\d* chats, [1-9]\d* bulk jobs, .*TTFT p50 / p99 \d+ / \d+ ms \| [1-9][\d,]* tokens/s"
        )
        text = "\n".join(seen)
        base = re.search(r"base URL +(\S+)/v1 ", text)
        metrics = re.search(r"metrics +(\S+)", text)
        assert base is not None
        assert metrics is not None
        assert f"curl -N {base[1]}/v1/chat/completions" in text
        assert "promised a first token within 200 ms" in text
        with urllib.request.urlopen(f"{base[1]}/v1/models", timeout=5) as answer:
            assert [model["id"] for model in json.load(answer)["data"]] == ["demo"]
        with urllib.request.urlopen(metrics[1], timeout=5) as answer:
            series = answer.read().decode()
        for name in ("bulk", "interactive"):
            assert re.search(rf'^tidegate_requests_total\{{.*class="{name}".* [1-9]', series, re.MULTILINE)
        promise = re.search(r"^tidegate_slo_\w+\{.*", series, re.MULTILINE)
        assert promise is not None
        process.send_signal(number)
        out, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (0, "")
    assert out.endswith("stopped\n")
    assert ", 0 failed" in seen[-1]
    assert " within 200 ms" in seen[-1]


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


@pytest.mark.parametrize(("make", "expected"), [({}, False), ({"MAKELEVEL": "1"}, True)])
def test_a_port_in_use_below_make_says_how_make_passes_an_option_on(make: dict[str, str], expected: bool) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        demo("--listen", f"127.0.0.1:{taken.getsockname()[1]}", "--admin", "127.0.0.1:0", **make) as process,
    ):
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert ("make run ARGS=" in errors) is expected


def test_lines_that_stay_come_ever_more_rarely() -> None:
    assert sum(islice(_pauses(terminal=False), 65)) > 3600
    assert set(islice(_pauses(terminal=True), 65)) == {LINE_EVERY_S}


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    with demo("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(DEADLINE_S) == 141
        process.stdout = None
    assert errors == ""
