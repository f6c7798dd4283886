"""Chats: short ones, long ones, whole answers in bulk, and conversations of several turns.

Owns their sizes. A conversation carries a made-up answer for each turn before, as long as the real one was meant to
be: what a run sends does not depend on what was said.
"""

from dataclasses import dataclass
from random import Random
from typing import Any, Final

from proxy.bench.asks import Ask, Session
from proxy.bench.text import prose, rng_of

SYSTEM_PROMPTS: Final = 4
"""Shared by all conversations of `multi-turn`."""
_SYSTEM_TOKENS: Final = (600, 1800)
_PAUSE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class SingleTurn:
    """One question, one answer. Ranges are of tokens, both ends included."""

    name: str
    prompt: tuple[int, int]
    output: tuple[int, int]
    streams: bool = True
    traffic_class: str = ""
    total: int | None = None

    def session(self, seed: int, number: int) -> Session:
        """One request."""
        rng = rng_of(self.name, seed, number)
        output = rng.randint(*self.output)
        text = f"{prose(rng, rng.randint(*self.prompt))} Write about {output} words on that."
        return Session((chat_ask([{"role": "user", "content": text}], output, streams=self.streams,
                                 traffic_class=self.traffic_class),))  # fmt: skip


@dataclass(frozen=True, slots=True)
class MultiTurn:
    """Conversations on one of a few system prompts, the first ones more often; 2 to 8 turns."""

    name: str = "multi-turn"
    total: int | None = None

    def session(self, seed: int, number: int) -> Session:
        """All turns of one conversation."""
        rng = rng_of(self.name, seed, number)
        weights = [1 / (rank + 1) for rank in range(SYSTEM_PROMPTS)]
        (system,) = rng.choices(range(SYSTEM_PROMPTS), weights)
        history: list[dict[str, Any]] = [{"role": "system", "content": _system(seed, system)}]
        asks = []
        for turn in range(rng.randint(2, 8)):
            history = [*history, {"role": "user", "content": prose(rng, rng.randint(20, 120))}]
            output = rng.randint(50, 150)
            gap = min(30.0, rng.expovariate(1 / _PAUSE_S)) if turn else 0.0
            asks.append(chat_ask(history, output, gap_s=gap))
            history = [*history, {"role": "assistant", "content": prose(rng, output)}]
        return Session(tuple(asks))


def chat_ask(
    messages: list[dict[str, Any]],
    output: int,
    *,
    streams: bool = True,
    gap_s: float = 0.0,
    traffic_class: str = "",
    **more: Any,
) -> Ask:
    """Greedy, so that answers of two runs can be compared."""
    fields = {"messages": messages, "max_tokens": output, "temperature": 0, "stream": streams, **more}
    headers = {"x-tidegate-class": traffic_class} if traffic_class else {}
    return Ask("chat", fields, output, gap_s, headers=headers)


def _system(seed: int, number: int) -> str:
    rng: Random = rng_of("system", seed, number)
    return prose(rng, rng.randint(*_SYSTEM_TOKENS))
