"""What recipes have in common: engines and proxies in processes of their own, `tidegate bench` on them, the report.

A recipe is one command that measures, and leaves rows, `run.json` and a report in a folder beside itself. It calls the
program as a user does; `TIDEGATE_PROGRAM` names another one than the one beside this interpreter, such as that of a
compiled clone.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Any

import yaml

START_S = 90.0
STOP_S = 20.0


os.environ.pop("PYTHONPATH", None)  # another program is measured with its own source, whatever finds ours


def program() -> str:
    """`tidegate`."""
    return os.environ.get("TIDEGATE_PROGRAM") or str(Path(sys.executable).with_name("tidegate"))


def tidegate(*words: str) -> str:
    """What a command prints on standard output; what it says of its progress is seen. Raises CalledProcessError."""
    return subprocess.run([program(), *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def results(recipe: str) -> Path:
    """The folder beside a recipe's file, as it is called from here: what is written names no folder of this machine."""
    return Path(relpath(Path(recipe).parent / "results"))


def fresh(folder: Path) -> Path:
    """That folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# --- processes


@dataclass(frozen=True)
class Proxy:
    """One that listens."""

    url: str
    admin: str
    pid: int


@contextmanager
def process(words: Sequence[str], ready: str, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """It, and the line of its output that says `ready`. SystemExit with its last words when it ends before."""
    with log.open("wb") as file:
        started = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield started, _line(started, ready, log)
        finally:
            started.terminate()
            try:
                started.wait(STOP_S)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def _line(started: "subprocess.Popen[bytes]", ready: str, log: Path) -> str:
    until = time.monotonic() + START_S
    while time.monotonic() < until and started.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if ready in line:
                return line
        time.sleep(0.05)
    raise SystemExit(f"did not start: {log.read_text(errors='replace')[-500:]}")


@contextmanager
def sims(count: int, *words: str) -> Iterator[list[str]]:
    """URLs of so many simulated engines (`tidegate sim`), with seeds of their own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = []
        for number in range(count):
            command = [program(), "sim", "--seed", str(number), *words]
            _, line = stack.enter_context(process(command, "ready at", folder / f"{number}.log"))
            urls.append(line.split()[-1])
        yield urls


@contextmanager
def proxy(configuration: dict[str, Any], models: int = 1) -> Iterator[Proxy]:
    """`tidegate serve` with that file, when it lists so many models."""
    with tempfile.TemporaryDirectory() as name:
        file, log = Path(name, "routing.yaml"), Path(name, "log")
        base = {"version": 1, "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "drain": {"readiness": "0s"}}
        file.write_text(yaml.safe_dump({**base, **configuration}))
        with process([program(), "serve", str(file)], "admin on", log) as (started, _):
            text = log.read_text(errors="replace")
            url, admin = (
                f"http://127.0.0.1:{text.split(f'{word} on http://127.0.0.1:')[1].split()[0]}"
                for word in ("listening", "admin")
            )
            until_listed(url, models)
            yield Proxy(url, admin, started.pid)


def until_listed(url: str, models: int) -> None:
    """Until a server lists so many models. SystemExit when it never does."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with suppress(OSError, ValueError), urllib.request.urlopen(f"{url}/v1/models", timeout=5.0) as answer:
            if len(json.load(answer)["data"]) >= models:
                return
        time.sleep(0.1)
    raise SystemExit(f"{url} lists no models")


# --- what is written


def report(folders: Sequence[Path], out: Path, *, title: str, slo: str = "") -> None:
    """Of all of them in one. What is large of it (`.gitignore`) is made again by the same command."""
    promise = ["--slo", slo] if slo else []
    tidegate("report", *map(str, folders), "--out", str(fresh(out)), "--title", title, *promise)


def parser(text: str | None) -> argparse.ArgumentParser:
    """With the first line of a recipe's docstring. SIGTERM ends what was started, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return argparse.ArgumentParser(description=(text or "").partition("\n")[0])
