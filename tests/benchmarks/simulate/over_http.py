"""The real proxy over HTTP before four simulated engines, against a reference that reads the engines from inside.

    python -m tests.benchmarks.simulate.over_http --policies goodput,round_robin --loads 0.5,1,1.5,2 --seeds 1,2

Two low-latency and two high-throughput engines (`tidegate sim`, one process each), chats of several turns with shared
system prompts (TTFT 200 ms, TPOT 40 ms) and bulk jobs (60 s for everything), at multiples of the cluster's capacity.
Capacity is what the reference can carry: the highest rate at which it keeps 95 % of the requests in their SLO.

*Time scale.* Engines, proxy and clients share this machine, and every token is an event in three processes. On a busy
one `--speed` runs the engines' clock slower than ours (0.25: four times), and arrivals and SLOs with it, so what is
measured is the scheduling and not the lack of cores; all figures are in the engines' time. The proxy's own time
constants (holds, averages) are not scaled: they look four times shorter to it, which costs it five points at load 1.
The share of processor time that was left idle is in the result: without any, a run means nothing.

*Results* are written after every run, beside those of the same setting that are there already.

*Reference.* `greedy_informed` of `proxy.sim.world.references`, on virtual time, before the same engines, same arrivals.
It pays for no network and no processor, so the ratio errs against the proxy.

*Simulated.* What `tidegate simulate` says of the same policy, engines and arrivals, beside what the proxy really did.
It is played in the proxy's seconds, engines slower by `--speed`, and is told the sizes of the very bodies that are
sent: what the proxy begins with (costs, holds, averages) is in seconds, and it guesses tokens by bytes.

Answer lengths travel to the engines in a header that the proxy forwards and does not read.
"""

import argparse
import asyncio
import base64
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import aiohttp

from proxy.app import simulate
from proxy.app.contenders import contenders_of
from proxy.model.faults import Kind, Retry, upstream
from proxy.model.outcome import SERVED, Outcome, Verdict
from proxy.report.report import Report, report_of
from proxy.report.run import Result, SimulatedRun
from proxy.sim.world.cluster import EngineEntry, build_cluster, hashed_by, read_engines
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.references import play_reference
from proxy.sim.world.slo import parse_slo, promised
from proxy.workload.arrival import Arrival, Slo
from proxy.workload.generator import (
    BLOCK_TOKENS,
    WORKLOADS,
    ConversationSettings,
    JobSettings,
    LengthMix,
    Workload,
    generate,
)
from tests.support.proxy_process import ProxyProcess

RESULTS = Path(__file__).parent / "results"
ENGINES = "2xlow_latency:pool=low-latency,2xhigh_throughput:pool=high-throughput"
SLO = "interactive:ttft=200ms,tpot=40ms;bulk:e2e=60s"
MESSAGE_CHARS = 4096
TEMPLATE_TOKENS = 8
"""What `tidegate sim` adds per conversation."""
ANSWER_MAX = 1400
"""Tokens; a longer one would not fit the header that carries it."""
START_S = 20.0
GIVE_UP_S = 300.0
CAPACITY_SHARE = 0.95

WORKLOAD: Workload = WORKLOADS["mixed"].model_copy(
    update={
        "conversations": ConversationSettings(answer=LengthMix(median=150, spread=0.6, max=ANSWER_MAX)),
        "jobs": JobSettings(
            prompt=LengthMix(median=4000, spread=0.6, max=16_384),
            answer=LengthMix(median=400, spread=0.5, max=ANSWER_MAX),
        ),
    }
)


def arrivals_at(rate: float, duration_s: float, seed: int) -> list[Arrival]:
    """The traffic, with its SLO."""
    workload = WORKLOAD.model_copy(update={"rate": rate, "duration": duration_s})
    return promised(generate(workload, seed), parse_slo(SLO))


def reference_report(arrivals: Sequence[Arrival], seed: int) -> Report:
    """The upper mark."""
    backends = hashed_by(build_cluster(read_engines(ENGINES), ()), BLOCK_TOKENS)
    return report_of(play_reference(backends, arrivals, SeenByProxy(seed, BLOCK_TOKENS)))


def run_simulated(
    policy: str, arrivals: Sequence[Arrival], seed: int, cluster: str = ENGINES, speed: float = 1.0
) -> SimulatedRun:
    """What the simulator makes of it, in the engines' time."""
    parser = argparse.ArgumentParser()
    simulate.add_arguments(parser)
    slowed = ",".join(f"{entry}:slower={1 / speed!r}" for entry in cluster.split(","))
    contender = contenders_of(
        parser.parse_args(["--engines", slowed, "--policy", policy, "--workload", "mixed"]), BLOCK_TOKENS
    )[0]
    played = contender.play([_on_the_wall(arrival, speed) for arrival in arrivals], seed, lambda _: None)
    for result, arrival in zip(played.results, arrivals, strict=True):
        result.arrival = arrival
        result.first_token_at = _scaled(result.first_token_at, speed)
        result.done_at = _scaled(result.done_at, speed)
    played.ended_at *= speed
    return played


def _on_the_wall(arrival: Arrival, speed: float) -> Arrival:
    """As the proxy sees it: in its own seconds, of so many bytes."""
    slo = arrival.slo
    stretched = Slo(*[_scaled(promised_s, 1 / speed) for promised_s in (slo.ttft_s, slo.tpot_s, slo.e2e_s)])
    return replace(arrival, at=arrival.at / speed, slo=stretched, body_bytes=len(body_of(arrival)))


def _scaled(seconds: float | None, factor: float) -> float | None:
    return None if seconds is None else seconds * factor


def capacity(duration_s: float) -> float:
    """Requests per second that the reference carries."""
    low, high = 0.5, 64.0
    while high / low > 1.05:
        middle = (low * high) ** 0.5
        kept = reference_report(arrivals_at(middle, duration_s, seed=1000), 0).total.goodput
        low, high = (middle, high) if kept >= CAPACITY_SHARE else (low, middle)
    return low


# ---- processes


@contextmanager
def engines(speed: float, cluster: str) -> Iterator[list[str]]:
    """Their base URLs."""
    with ExitStack() as stack:
        started = [_start_engine(i, entry.preset, speed, stack) for i, entry in enumerate(_engines(cluster))]
        yield [url_of(process) for process in started]


def _engines(cluster: str) -> list[EngineEntry]:
    """One by one."""
    return [entry for entry in read_engines(cluster) for _ in range(entry.count)]


def _start_engine(index: int, preset: str, speed: float, stack: ExitStack) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "proxy.cli.main", "sim", "--preset", preset, "--name", f"sim{index}"]
    process = subprocess.Popen([*command, "--speed", str(speed)], stdout=subprocess.PIPE, text=True)
    stack.enter_context(process)
    stack.callback(process.terminate)
    return process


def url_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    match = re.search(r"ready at (\S+)", process.stdout.readline())
    assert match, "the simulated engine did not start"
    return match.group(1)


def proxy_config(policy: str, urls: Sequence[str], cluster: str) -> dict[str, Any]:
    """As an operator would write it: nothing of the engines' constants."""
    backends = [
        {"url": url, "name": f"{entry.pool}-{i}", "pool": entry.pool}
        for i, (url, entry) in enumerate(zip(urls, _engines(cluster), strict=True))
    ]
    return {"backends": backends, "routing": {"policy": policy}, "headers": {"forward": ["x-sim-*"]}}


# ---- clients


def body_of(arrival: Arrival) -> bytes:
    """A chat whose prompt has the tokens of the arrival, and shares what its hashes say it shares."""
    text = "".join(f"{block:016x}" * (BLOCK_TOKENS // 4) for block in arrival.prefix_hashes)
    chars = 4 * max(1, arrival.prompt_tokens - TEMPLATE_TOKENS)
    text += f"{int(1e6 * arrival.at) & 0xFFFF_FFFF:08x}" * (1 + chars // 8)
    messages, at, used = [], 0, 0
    while used < chars:
        role = "assistant" if len(messages) % 2 else "user"
        size = max(1, min(MESSAGE_CHARS, chars - used) - len(role) - 4)
        messages.append({"role": role, "content": text[at : at + size]})
        at, used = at + size, used + size + len(role) + 4
    return json.dumps({"model": "sim", "stream": True, "messages": messages}).encode()


def headers_of(arrival: Arrival, speed: float, *, tells_deadline: bool = True) -> dict[str, str]:
    """What a client says of itself, and (to the engine) how long the answer is."""
    text = base64.b64encode(b"abcd" * arrival.output_tokens).decode()
    headers = {"content-type": "application/json", "x-sim-text": text}
    if arrival.traffic_class:
        headers["x-tidegate-class"] = arrival.traffic_class
    promises = {"ttft": arrival.slo.ttft_s, "tpot": arrival.slo.tpot_s}
    headers |= {f"x-slo-{key}-ms": f"{1e3 * s / speed:.0f}" for key, s in promises.items() if s is not None}
    if arrival.slo.e2e_s is not None and tells_deadline:
        headers["x-request-deadline-ms"] = f"{1e3 * arrival.slo.e2e_s / speed:.0f}"
    return headers


class Clients:
    """Plays arrivals against a URL, in the engines' time."""

    def __init__(self, url: str, speed: float, *, tells_deadline: bool = True) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._speed = speed
        self._tells_deadline = tells_deadline
        self._start = 0.0

    async def play(self, arrivals: Sequence[Arrival]) -> SimulatedRun:
        """Everybody's fate; times are the engines' seconds since the start."""
        results = [Result(arrival) for arrival in arrivals]
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=GIVE_UP_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            self._start = time.monotonic() + 0.5
            async with asyncio.TaskGroup() as tasks:
                for result in results:
                    await asyncio.sleep(max(0.0, self._wall(result.arrival.at) - time.monotonic()))
                    tasks.create_task(self._ask(session, result))
        return SimulatedRun(results, ended_at=max(result.done_at or 0.0 for result in results))

    def _wall(self, at: float) -> float:
        return self._start + at / self._speed

    def _now(self) -> float:
        return (time.monotonic() - self._start) * self._speed

    async def _ask(self, session: aiohttp.ClientSession, result: Result) -> None:
        arrival = result.arrival
        try:
            headers = headers_of(arrival, self._speed, tells_deadline=self._tells_deadline)
            async with session.post(self._url, data=body_of(arrival), headers=headers) as response:
                if response.status != 200:
                    await self._refused(response, result)
                else:
                    await self._read(response, result)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._failed(result, type(error).__name__)
        result.done_at = self._now()

    async def _refused(self, response: aiohttp.ClientResponse, result: Result) -> None:
        """429 and 503 are refusals; anything else is a failure."""
        error = json.loads(await response.read()).get("error", {})
        code = str(error.get("code") or error.get("type") or response.status)
        verdict = Verdict.SHED if response.status in (429, 503) else Verdict.FAILED
        result.outcome, result.reason = Outcome(verdict, "PQ"), code

    async def _read(self, response: aiohttp.ClientResponse, result: Result) -> None:
        last = b""
        async for data in response.content.iter_any():
            if result.first_token_at is None and b'"delta"' in data:
                result.first_token_at = self._now()
            last = (last + data)[-64:]
            if b'"error"' in data:
                return self._failed(result, "error_event")
        if b"[DONE]" not in last or result.first_token_at is None:
            return self._failed(result, "cut")
        result.outcome = SERVED
        return None

    def _failed(self, result: Result, reason: str) -> None:
        result.outcome = Outcome(Verdict.FAILED, "UH", upstream(Kind.CUT, reason, Retry.NEVER))
        result.reason = reason


# ---- runs


def run_live(
    policy: str, arrivals: Sequence[Arrival], speed: float, cluster: str = ENGINES
) -> tuple[SimulatedRun, float]:
    """What the proxy made of it, and the share of all processor time that was idle."""
    with engines(speed, cluster) as urls:
        proxy = ProxyProcess(proxy_config(policy, urls, cluster)).listening()
        try:
            until_ready(proxy)
            idle = idle_s(), time.monotonic()
            played = asyncio.run(Clients(proxy.url, speed).play(arrivals))
            left = (idle_s() - idle[0]) / (time.monotonic() - idle[1]) / (os.cpu_count() or 1)
        finally:
            proxy.stop()
    return played, left


def until_ready(proxy: ProxyProcess) -> None:
    """All four are listed and asked once."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        answer = proxy.ask("GET", "/v1/models")
        if answer.status == 200 and json.loads(answer.body).get("data"):
            time.sleep(1.0)
            return
        time.sleep(0.1)
    raise AssertionError("the proxy lists no model")


def idle_s() -> float:
    """Idle seconds of all processors since the machine started."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(fields[4]) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    options = _options()
    top = options.capacity or capacity(60.0)
    print(f"capacity {top:.2f} requests/s of engine time, speed {options.speed}", flush=True)
    for seed in options.seeds:
        for load in options.loads:
            arrivals = arrivals_at(load * top, options.duration, seed)
            mark = reference_report(arrivals, seed)
            for policy in options.policies:
                live, idle = run_live(policy, arrivals, options.speed)
                report = report_of(live)
                simulated = report_of(run_simulated(policy, arrivals, seed, speed=options.speed))
                row = _row(policy, load, seed, report, mark, simulated, idle)
                print(_line(row), flush=True)
                _write(row, top, options)
    return 0


def _row(
    policy: str, load: float, seed: int, report: Report, mark: Report, simulated: Report, idle: float
) -> dict[str, Any]:
    chats, marked = report.by_class.get("interactive"), mark.by_class.get("interactive")
    return {
        "policy": policy,
        "load": load,
        "seed": seed,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "requests": report.total.requests,
        "good_tokens": report.total.good_tokens,
        "reference_good_tokens": mark.total.good_tokens,
        "simulated_good_tokens": simulated.total.good_tokens,
        "goodput": report.total.goodput,
        "simulated_goodput": simulated.total.goodput,
        "ratio": report.total.good_tokens / max(1, mark.total.good_tokens),
        "chats_in_slo": chats.goodput if chats else None,
        "reference_chats_in_slo": marked.goodput if marked else None,
        "refusals": report.refusals,
        "faults": report.faults,
        "ttft": asdict(chats.ttft) if chats else None,
        "tpot": asdict(chats.tpot) if chats else None,
        "idle_share": round(idle, 3),
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['policy']:22} load {row['load']:g} seed {row['seed']}: {row['ratio']:.3f} of the reference, chats "
        f"{100 * row['chats_in_slo']:.1f} % against {100 * row['reference_chats_in_slo']:.1f} %, "
        f"in SLO {100 * row['goodput']:.1f} %, simulated {100 * row['simulated_goodput']:.1f} %, "
        f"refused {sum(row['refusals'].values())}, failed {sum(row['faults'].values())}, idle {row['idle_share']:.2f}"
    )


def _write(row: dict[str, Any], top: float, options: argparse.Namespace) -> None:
    setting = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "capacity_per_s": round(top, 2),
        "engines": ENGINES,
        "slo": SLO,
        "speed": options.speed,
        "duration_s": options.duration,
        "workload": WORKLOAD.model_dump(mode="json"),
    }
    file = RESULTS / "over_http.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    rows = found["rows"] if found.get("setting") == json.loads(json.dumps(setting)) else []
    rows = sorted([old for old in rows if _key(old) != _key(row)] + [row], key=_key)
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps({"setting": setting, "rows": rows}, indent=1) + "\n")
    (RESULTS / "over_http.md").write_text(_table(rows, setting))


def _key(row: dict[str, Any]) -> tuple[float, bool, str, int]:
    return row["load"], row["policy"] != "goodput", row["policy"], row["seed"]


def _table(rows: list[dict[str, Any]], setting: dict[str, Any]) -> str:
    lines = [
        "# Over HTTP\n",
        f"{setting['machine']}; {rows[0]['at'][:10]}; engines {setting['engines']}; SLO {setting['slo']}; capacity "
        f"{setting['capacity_per_s']:.2f} requests/s; {setting['duration_s']:g} s of engine time at speed "
        f"{setting['speed']:g}.\n",
        "| load | policy | tokens in SLO / reference | chats in SLO % | reference % | requests in SLO % | simulated % "
        "| seeds | idle |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for load, policy in dict.fromkeys((row["load"], row["policy"]) for row in rows):
        found = [row for row in rows if (row["load"], row["policy"]) == (load, policy)]
        ratios = [row["ratio"] for row in found]
        lines.append(
            f"| {load:g} | {policy} | {fmean(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f}) "
            f"| {100 * fmean(row['chats_in_slo'] for row in found):.1f} "
            f"| {100 * fmean(row['reference_chats_in_slo'] for row in found):.1f} "
            f"| {100 * fmean(row['goodput'] for row in found):.1f} "
            f"| {100 * fmean(row['simulated_goodput'] for row in found):.1f} | {len(found)} "
            f"| {fmean(row['idle_share'] for row in found):.2f} |"
        )
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The proxy over HTTP against a reference that knows everything.")
    parser.add_argument("--policies", type=lambda text: text.split(","), default=["goodput", "least_outstanding"])
    parser.add_argument("--loads", type=lambda text: [float(one) for one in text.split(",")], default=[0.5, 1, 1.5, 2])
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[1, 2])
    parser.add_argument("--speed", type=float, default=1.0, help="the engines' clock, against ours")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds of the engines' time")
    parser.add_argument("--capacity", type=float, help="requests per second, instead of finding it out")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
