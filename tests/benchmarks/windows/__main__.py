"""What windows bring: single-text embeddings before a modelled engine, merged and not. Run it:
`python -m tests.benchmarks.windows`.

Every part in a process of its own: the engine (`tidegate sim --arrays tei_l4`, its clock slowed by `--slower` so that
the machine is not what is measured), the proxy twice (`window: off`, and the default, longer by as much), and the
client here. Times are those of the engine's clock, divided by `--slower`, but for the lone caller's. Writes a CSV
beside this file.

- full load: 200 callers, each asks again at once: calls per second, p50, p99.
- steady: as many calls a second as the engine takes one by one at 45 % load: what is added at p99.
- alone: one caller, one call after the other: what a lone call pays.
"""

import argparse
import asyncio
import csv
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
TIDEGATE = (str(Path(sys.executable).with_name("tidegate")),)
HEAD = b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
CALLERS = 200
WARM_UP = 0.25
"""Of the time that is measured, before it."""
SINGLE_S = 1.4855e-3
"""Of a call of one, by the modelled engine's clock."""
MODES = {"off": "off", "merged": "adaptive"}


class Caller:
    """One connection, one call at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, text: str) -> int:
        """The status of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        body = b'{"model":"sim","input":"%b","encoding_format":"base64"}' % text.encode()
        head = (
            b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        )
        writer.write(head % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        return int(answer.split(b" ", 2)[1])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def full_load(port: int, seconds: float) -> list[float]:
    """Seconds of each call that ended in that time, with all callers busy; the time before is for learning."""
    took: list[float] = []
    since = time.monotonic() + WARM_UP * seconds
    until = since + seconds

    async def calls(number: int) -> None:
        caller = Caller(port)
        count = 0
        while time.monotonic() < until:
            start = time.monotonic()
            assert await caller.ask(f"text {number} {count}") == 200
            now = time.monotonic()
            if since <= now < until:
                took.append(now - start)
            count += 1
        caller.close()

    await asyncio.gather(*(calls(number) for number in range(CALLERS)))
    return took


async def steady(port: int, seconds: float, rate: float) -> list[float]:
    """The same at a rate that does not wait for answers, evenly spaced."""
    took: list[float] = []
    idle = [Caller(port) for _ in range(CALLERS)]
    callers = idle[:]

    async def call(number: int) -> None:
        caller = idle.pop()
        start = time.monotonic()
        assert await caller.ask(f"text {number}") == 200
        took.append(time.monotonic() - start)
        idle.append(caller)

    start, running = time.monotonic(), []
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
        running.append(asyncio.ensure_future(call(number)))
    await asyncio.gather(*running)
    for caller in callers:
        caller.close()
    return took


async def alone(ports: dict[str, int], count: int) -> dict[str, list[float]]:
    """The same for one caller, who asks all proxies in turn: what the machine does meanwhile it does to all."""
    callers = {mode: Caller(port) for mode, port in ports.items()}
    took: dict[str, list[float]] = {mode: [] for mode in ports}
    for number in range(count):
        for mode, caller in callers.items():
            start = time.monotonic()
            assert await caller.ask(f"text {number}") == 200
            took[mode].append(time.monotonic() - start)
    for caller in callers.values():
        caller.close()
    return took


@contextmanager
def running(*command: str) -> Iterator[str]:
    """A process; what it says when it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "ready at" in line or "listening on" in line:
                yield line
                return
        raise SystemExit(f"did not start: {command}")
    finally:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)


def config(engine: str, mode: str, slower: float) -> str:
    """The default window, by the engine's clock."""
    return (
        "version: 1\nlisten: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {access: false}\n"
        f"backends: [{{url: '{engine}', kind: vllm, models: [sim]}}]\n"
        f"classes: [{{name: interactive, window: {{mode: {mode}, max_wait: {10 * slower:g}ms}}}}]\n"
    )


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def engine(speed: float) -> Iterator[str]:
    """Where the modelled engine listens."""
    with running(*TIDEGATE, "sim", "--preset", "fast", "--arrays", "tei_l4", "--speed", str(speed)) as ready:
        yield ready.split()[-1]


@contextmanager
def proxy(folder: Path, engine_url: str, mode: str, slower: float = 1.0) -> Iterator[int]:
    """The port of one before it."""
    file = folder / f"{mode}.yaml"
    file.write_text(config(engine_url, MODES[mode], slower))
    with running(*TIDEGATE, "serve", str(file)) as line:
        yield int(line.split("listening on http://127.0.0.1:")[1].split()[0])


def loaded(folder: Path, mode: str, options: argparse.Namespace) -> dict[str, float]:
    """200 callers, and a steady rate."""
    speed = 1.0 / options.slower
    with engine(speed) as url, proxy(folder, url, mode, options.slower) as port:
        full = asyncio.run(full_load(port, options.seconds))
        even = asyncio.run(steady(port, options.seconds, 0.45 / SINGLE_S * speed))
    return {
        "calls_per_s": len(full) / options.seconds / speed,
        "p50_ms": quantile(full, 0.5) * speed * 1e3,
        "p99_ms": quantile(full, 0.99) * speed * 1e3,
        "steady_p50_ms": quantile(even, 0.5) * speed * 1e3,
        "steady_p99_ms": quantile(even, 0.99) * speed * 1e3,
    }


def lone(folder: Path, count: int) -> dict[str, dict[str, float]]:
    """One caller, on the clock of the wall."""
    with engine(1.0) as url, proxy(folder, url, "off") as off, proxy(folder, url, "merged") as merged:
        took = asyncio.run(alone({"off": off, "merged": merged}, count))
    return {
        mode: {"alone_p25_ms": quantile(found, 0.25) * 1e3, "alone_p50_ms": quantile(found, 0.5) * 1e3}
        for mode, found in took.items()
    }


def machine() -> str:
    model = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), "unknown CPU")
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}, Python {platform.python_version()}"


def _cpuinfo() -> list[str]:
    return Path("/proc/cpuinfo").read_text().splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--lone", type=int, default=800, help="calls of the lone caller")
    parser.add_argument("--slower", type=float, default=8.0, help="the engine's clock is so many times slower")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / f"{datetime.now(UTC):%Y-%m-%d}.csv")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        for number in range(options.rounds):
            by_itself = lone(Path(folder), options.lone)
            for mode in MODES:
                found = loaded(Path(folder), mode, options) | by_itself[mode]
                rows.append({"round": number + 1, "window": mode} | {name: f"{v:.2f}" for name, v in found.items()})
                print(rows[-1], flush=True)
    with options.out.open("w", newline="") as file:
        load = os.getloadavg()[0]
        file.write(
            f"# {machine()}; other work on it: load average {load:.1f}; engine {options.slower:g} times slower\n"
        )
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
