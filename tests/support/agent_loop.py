"""A coding agent's tool loop as it comes to a proxy: a long system prompt and tools, one call and result more per turn,
and a first line that changes with every request."""

import json
import uuid
from typing import Any, NamedTuple

from tests.support.live_proxy import Live

TURNS = 20
RULES = "\n".join(
    f"Rule {number}: before you touch drawer {number % 13}, count its {number * 7} spoons, and write down what you saw."
    for number in range(240)
)
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "description": f"{name}s a file. " * 20, "parameters": {"type": "object"}},
    }
    for name in ("read", "edit", "search", "run")
]


class Turn(NamedTuple):
    """One request's tokens, as the engine told them, and where it went."""

    prompt: int
    cached: int
    backend: str


def billing_line(session: int) -> str:
    """As a widely used agent writes it."""
    return f"x-anthropic-billing-header: cc_version=2.1.{session}; cch={uuid.uuid4().hex[:5]};\n"


def messages(session: int, turn: int, first_line: str) -> list[dict[str, Any]]:
    """Of one turn: all turns before it, and their results."""
    talk: list[dict[str, Any]] = [
        {"role": "system", "content": f"{first_line}{RULES}"},
        {"role": "user", "content": f"Please mend bug {session} in the parser. " * 5},
    ]
    for number in range(turn):
        call = {"id": f"call_{session}_{number}", "type": "function", "function": {"name": "read", "arguments": "{}"}}
        result = f"line {number} of file {session}: " + f"value {session * 31 + number} " * 40
        talk += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": result},
        ]
    return talk


async def turn_of(live: Live, session: int, turn: int, **headers: str) -> Turn:
    """Send one turn."""
    body = {
        "messages": messages(session, turn, billing_line(session)),
        "tools": TOOLS,
        "stream": False,
        "max_tokens": 8,
    }
    answer = await live.ask(body, **headers)
    assert answer.status == 200, answer.body
    usage = json.loads(answer.body)["usage"]
    return Turn(usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], answer.route["backend"])


def hit(turns: list[Turn]) -> float:
    """Share of the prompts' tokens that were found in a cache."""
    return sum(turn.cached for turn in turns) / sum(turn.prompt for turn in turns)
