"""Short first against whole answers: seconds to the end of an answer, and of the rest when it is asked for.
`python -m tests.benchmarks.prompts.short_first`. A real proxy before two simulated engines; a minute."""

import asyncio
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from proxy.sim.engine.spec import PRESETS
from tests.support.agent_loop import RULES
from tests.support.live_proxy import SimEngine, running

ENGINES = tuple(SimEngine(name, spec=PRESETS["low_latency"]) for name in "ab")
_REQUESTS = 24
_AT_ONCE = 4
_FULL = 400
_OPTIONS = "classes: [{name: chat, answer: {first: 120 tokens}}]\n"


def _asked(number: int) -> dict[str, Any]:
    user = {"role": "user", "content": f"Question {number}: why is drawer {number} empty?"}
    messages = [{"role": "system", "content": f"Shop {number % 3}. {RULES}"}, user]
    return {"messages": messages, "max_tokens": _FULL, "ignore_eos": True, "stream": True}


async def _played(traffic_class: str, *, expands: bool) -> tuple[list[float], list[float]]:
    first: list[float] = []
    rest: list[float] = []
    with TemporaryDirectory() as folder:
        async with running(Path(folder), _OPTIONS, ENGINES) as live:
            turn = asyncio.Semaphore(_AT_ONCE)

            async def one(number: int) -> None:
                async with turn:
                    start = perf_counter()
                    answer = await live.ask(_asked(number), x_tidegate_class=traffic_class)
                    first.append(perf_counter() - start)
                    if expands:
                        start = perf_counter()
                        name = answer.headers["x-tidegate-expandable"]
                        await live.send("POST", f"/v1/tidegate/requests/{name}/expand", {"max_tokens": _FULL})
                        rest.append(perf_counter() - start)

            await asyncio.gather(*(one(number) for number in range(_REQUESTS)))
    return first, rest


def main() -> None:
    """Prints the medians."""
    whole, _ = asyncio.run(_played("interactive", expands=False))
    first, rest = asyncio.run(_played("chat", expands=True))
    print(f"{_REQUESTS} chats, {_AT_ONCE} at once, {_FULL} tokens wanted; p50 in seconds")
    print(f"whole answers {statistics.median(whole):.2f}   short first {statistics.median(first):.2f}   ", end="")
    print(f"the rest, when asked for {statistics.median(rest):.2f}")


if __name__ == "__main__":
    main()
