"""One model on three unlike real engines: chats that grow beside bulk work, by policy.

    python -m tests.benchmarks.engines.unlike_pool [--seconds 120] [--rounds 1] [--policies goodput,round_robin,…]
                                                   [--every 2.5]

llama-server with one slot and with four, and vLLM with its stand-in executor (`make engines`). Six chats, each with a
system prompt of its own, ask turn after turn; two workers keep 200-token answers coming. Every policy gets the same
chats, in an order that turns with each round, before engines that were started anew. People who are answered sooner ask
sooner, and so more; with `--every` each of them asks once in so many seconds, so that every policy is asked as much.
Writes `unlike_pool.csv` here: a row for each answer.
"""

import argparse
import asyncio
import csv
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from random import Random
from statistics import median

import aiohttp

from tests.benchmarks.engines import WORDS
from tests.engines import cache
from tests.engines.llama_server import Engine, LlamaServer
from tests.engines.process import EngineProcess
from tests.engines.vllm_server import VllmServer
from tests.support.proxy_process import ProxyProcess

POLICIES = ("goodput", "prefix_cache_aware", "round_robin")
MODEL = "tiny"
CHATS, BULK_WORKERS = 6, 2
SYSTEM_WORDS, TURN_WORDS, ANSWER_TOKENS, BULK_TOKENS = 150, 20, 30, 200
TURNS = 12
"""Of a conversation; then another one begins, which fits the engines' 2,048 tokens."""
PAUSE_S = (0.5, 2.0)
RESULTS = Path(__file__).with_suffix(".csv")
LEARNING_S = 60.0
"""Predictions are judged after it."""


@dataclass(frozen=True)
class Row:
    """One answer."""

    round: int
    policy: str
    kind: str
    at_s: float
    """From the start of its run."""
    conversation: int
    turn: int
    backend: str
    ttft_ms: float
    e2e_ms: float
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    ttft_error: float
    """Mean of the pool when it ended, as the proxy says: of predicted TTFT, as a share of the truth; the same in all
    rows of a run."""


@contextmanager
def engines() -> Iterator[list[EngineProcess]]:
    """All three, named by what they are."""
    llama = Engine.of("llama-server" if cache.is_there("llama-server") else "xllamacpp")
    started: list[EngineProcess] = [
        LlamaServer(llama, MODEL, "-np", "1", "-c", "2048", "--metrics"),
        LlamaServer(llama, MODEL, "-np", "4", "-c", "8192", "--metrics"),
        VllmServer(MODEL, step_ms=12, prefill_us=100),
    ]
    with ExitStack() as stack:
        for engine in started:
            stack.callback(engine.stop)
            engine.start()
        yield started


def configuration(policy: str, pool: Sequence[EngineProcess]) -> dict[str, object]:
    """As an operator writes it."""
    names = ("llama-np1", "llama-np4", "vllm")
    return {
        "routing": {"policy": policy},
        "backends": [{"name": name, "url": engine.url} for name, engine in zip(names, pool, strict=True)],
    }


class Run:
    """One policy for some time."""

    def __init__(self, number: int, policy: str, proxy: ProxyProcess, seconds: float, every_s: float | None) -> None:
        self.number = number
        self.policy = policy
        self.proxy = proxy
        self.every_s = every_s
        """Between two turns' beginnings, unless the answer takes longer; None: people pause after each answer."""
        self.start = time.monotonic()
        self.end = self.start + seconds
        self.found: list[tuple[object, ...]] = []

    async def chat(self, session: aiohttp.ClientSession, number: int) -> None:
        """Conversations of one person, one after the other."""
        rng = Random(number)
        await asyncio.sleep(rng.random())
        conversation = number
        while time.monotonic() < self.end:
            messages = [{"role": "system", "content": _text(rng, SYSTEM_WORDS)}]
            for turn in range(TURNS):
                messages.append({"role": "user", "content": _text(rng, TURN_WORDS)})
                asked = time.monotonic()
                answer = await self.ask(session, "chat", conversation, turn, messages, ANSWER_TOKENS)
                messages.append({"role": "assistant", "content": answer})
                pause_s = rng.uniform(*PAUSE_S)
                if self.every_s is not None:
                    pause_s = max(0.0, asked + self.every_s - time.monotonic())
                await asyncio.sleep(pause_s)
                if time.monotonic() >= self.end:
                    return
            conversation += 100

    async def bulk(self, session: aiohttp.ClientSession, number: int) -> None:
        """One answer after the other."""
        rng, turn = Random(1000 + number), 0
        while time.monotonic() < self.end:
            await self.ask(
                session, "bulk", 1000 + number, turn, [{"role": "user", "content": _text(rng, 60)}], BULK_TOKENS
            )
            turn += 1

    async def ask(
        self,
        session: aiohttp.ClientSession,
        kind: str,
        conversation: int,
        turn: int,
        messages: list[dict[str, str]],
        tokens: int,
    ) -> str:
        """The text; a row is kept. Raises for any answer but 200: nothing may fail here."""
        body = {
            "model": MODEL,
            "messages": messages,
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = {"x-tidegate-class": "bulk" if kind == "bulk" else "interactive"}
        asked = time.monotonic()
        first, text, usage = None, "", {}
        async with session.post(f"{self.proxy.url}/v1/chat/completions", json=body, headers=headers) as answer:
            answer.raise_for_status()
            route = dict(part.split("=", 1) for part in answer.headers["x-tidegate-route"].replace(";", " ").split())
            async for line in answer.content:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                usage = event.get("usage") or usage
                for choice in event["choices"]:
                    text += choice["delta"].get("content") or ""
                    first = first or (time.monotonic() if choice["delta"].get("content") else None)
        done = time.monotonic()
        details = usage.get("prompt_tokens_details") or {}
        self.found.append(
            (
                self.number,
                self.policy,
                kind,
                round(asked - self.start, 3),
                conversation,
                turn,
                route["backend"],
                round(((first or done) - asked) * 1e3, 1),
                round((done - asked) * 1e3, 1),
                usage.get("prompt_tokens", 0),
                details.get("cached_tokens") or 0,
                usage.get("completion_tokens", 0),
            )
        )
        return text

    async def play(self) -> list[Row]:
        """All of them at once, to the end."""
        patience = aiohttp.ClientTimeout(total=300)
        async with aiohttp.ClientSession(timeout=patience) as session, asyncio.TaskGroup() as group:
            for number in range(CHATS):
                group.create_task(self.chat(session, number))
            for number in range(BULK_WORKERS):
                group.create_task(self.bulk(session, number))
        error = self.proxy.metrics().total("tidegate_pool_ttft_error")
        return [Row(*values, ttft_error=round(error, 3)) for values in self.found]  # type: ignore[arg-type]


def _text(rng: Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))


def played(policies: Sequence[str], rounds: int, seconds: float, every_s: float | None) -> Iterator[Row]:
    """Every policy in every round."""
    for number in range(rounds):
        for place in range(len(policies)):
            policy = policies[(place + number) % len(policies)]
            with engines() as pool:
                proxy = ProxyProcess(configuration(policy, pool)).listening()
                try:
                    yield from asyncio.run(Run(number, policy, proxy, seconds, every_s).play())
                finally:
                    proxy.stop()


def table(rows: Sequence[Row], seconds: float) -> str:
    """Markdown, a line per policy over all rounds."""
    lines = [
        "| policy | chats/s | chat TTFT p50 / p95 ms | later turns that stayed | of their prompts cached |"
        " bulk tokens/s | error of predicted TTFT |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for policy in dict.fromkeys(row.policy for row in rows):
        ours = [row for row in rows if row.policy == policy]
        chats = sorted(row.ttft_ms for row in ours if row.kind == "chat")
        spent = seconds * len({row.round for row in ours})
        later = list(_later(ours))
        stayed = sum(row.backend == before.backend for before, row in later)
        prompts, cached = sum(row.prompt_tokens for _, row in later), sum(row.cached_tokens for _, row in later)
        bulk = sum(row.output_tokens for row in ours if row.kind == "bulk")
        p95 = chats[max(0, -(-len(chats) * 95 // 100) - 1)]
        lines.append(
            f"| {policy} | {len(chats) / spent:.2f} | {median(chats):.0f} / {p95:.0f} |"
            f" {stayed / max(1, len(later)):.0%} | {cached / max(1, prompts):.0%} | {bulk / spent:.1f} |"
            f" {median(row.ttft_error for row in ours):.0%} |"
        )
    return "\n".join(lines).replace("%", " %")


def _later(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """Turns with the one before."""
    last: dict[tuple[int, int], Row] = {}
    for row in sorted((row for row in rows if row.kind == "chat"), key=lambda row: (row.round, row.at_s)):
        before = last.get((row.round, row.conversation))
        if before is not None:
            yield before, row
        last[row.round, row.conversation] = row


def main() -> int:
    """Plays, writes, prints."""
    parser = argparse.ArgumentParser(description="Three unlike real engines behind one name, by policy.")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--every", type=float)
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = list(played(options.policies.split(","), options.rounds, options.seconds, options.every))
    with options.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Row))
        writer.writerows(astuple(row) for row in rows)
    print(table(rows, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
