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
from typing import Any

import pytest

from proxy.app.demo.scenes import STORY
from proxy.app.demo.show import LINE_EVERY_S, _pauses

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
            process,
            r"^chats: [1-9]\d* of \d+ in SLO, .*TTFT p50 / p99 \d+ / \d+ ms \| bulk: [1-9].* [1-9][\d,]* tokens/s",
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
    assert re.search(r"^normal +chat +[1-9]", out, re.MULTILINE)
    assert "| failed 0 |" in seen[-1]
    assert seen[0].split() == ["live", "page", metrics[1].removesuffix("metrics")]


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


def played(*options: str) -> dict[str, Any]:
    """The scenes of a demo that ends by itself, by name; per proxy and class."""
    with demo("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json", *options) as process:
        out, errors = process.communicate(timeout=180)
    assert (process.returncode, errors) == (0, "")
    return {scene["scene"]: scene["results"] for scene in json.loads(out)["scenes"]}


def share(of: dict[str, int], *backends: str) -> float:
    return sum(of.get(name, 0) for name in backends) / max(sum(of.values()), 1)


def test_every_scene_shows_what_it_claims() -> None:
    """In time that passes; `test_demo_story.py` asks the same on virtual time."""
    scenes = played("--for", "22s")
    assert list(scenes) == [scene.name for scene in STORY]
    ours = {name: results["tidegate"] for name, results in scenes.items()}

    assert ours["normal"]["chat"]["share_good"] >= 0.95
    assert share(ours["normal"]["bulk"]["settled"], "bulk-1", "bulk-2") >= 0.8  # seven or so: one may go elsewhere
    assert ours["twice"]["chat"]["asked"] > 1.1 * ours["normal"]["chat"]["asked"]  # 1.2 on a busy machine
    assert ours["twice"]["chat"]["share_good"] >= 0.8
    assert share(ours["slow"]["chat"]["settled"], "chat-2") < 0.05
    assert ours["killed"]["chat"]["lost"] == ours["killed"]["bulk"]["lost"] == 0
    assert share(ours["killed"]["chat"]["settled"], "chat-2") == 0.0

    turns = scenes["round_robin"]["round_robin"]
    assert turns["chat"]["share_good"] < ours["round_robin"]["chat"]["share_good"] - 0.05
    assert share(turns["chat"]["by_backend"], "chat-2") > 0.05


def test_one_scene_alone_at_another_load() -> None:
    scenes = played("--scene", "normal", "--for", "3s", "--load", "0.5")
    assert list(scenes) == ["normal"]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--scene", "nosuch", "invalid choice"),
        ("--load", "none", "between 0.01 and 100"),
        ("--load", "nan", "between 0.01 and 100"),
        ("--for", "0s", "between 1 s and 1 day"),
        ("--for", "soon", "argument --for"),
    ],
)
def test_a_wrong_wish_is_said_before_anything_starts(option: str, value: str, words: str) -> None:
    with demo(option, value) as process:
        out, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (2, "")
    assert words in errors
