"""Agents: a task, calls of tools with their results, a gap after each while the tool is at work, and a final answer.

Owns the shape of such a loop. Calls and results are made up, so that what is sent does not depend on the model.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from proxy.bench.asks import Session
from proxy.bench.text import prose, rng_of
from proxy.bench.workloads.chats import chat_ask

_LONGEST_GAP_S: Final = 20.0


def tool(name: str, about: str, **parameters: str) -> dict[str, Any]:
    """As OpenAI describes one; all parameters are text and required."""
    properties = {key: {"type": "string", "description": said} for key, said in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(parameters), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


TOOLS: Final = (
    tool("search_files", "Finds files whose text contains a phrase.", phrase="What to look for", folder="Where"),
    tool("read_file", "Returns the text of a file.", path="Of the file"),
    tool("run_tests", "Runs the tests of a package and returns what failed.", package="Its name"),
    tool("edit_file", "Replaces a piece of text in a file.", path="Of the file", old="What", new="By what"),
)
_SYSTEM: Final = "You are a careful engineer. Use the tools, one at a time, until the task is done. "


@dataclass(frozen=True, slots=True)
class Agent:
    """Loops of 3 to 10 calls of a model; results of tools of 50 to 800 tokens."""

    name: str = "agent"
    total: int | None = None

    def session(self, seed: int, number: int) -> Session:
        """One task."""
        rng = rng_of(self.name, seed, number)
        system = _SYSTEM + prose(rng_of(self.name, seed, "system"), 900)
        history: list[dict[str, Any]] = [
            {"role": "system", "content": system},
            {"role": "user", "content": prose(rng, rng.randint(40, 200))},
        ]
        asks = []
        for step in range(rng.randint(3, 10)):
            output = rng.randint(30, 120)
            gap = min(_LONGEST_GAP_S, rng.lognormvariate(-0.7, 1.0)) if step else 0.0
            asks.append(chat_ask(history, output, gap_s=gap, tools=TOOLS))
            call, wanted = f"call_{step}", rng.choice(TOOLS)["function"]
            arguments = {key: prose(rng, rng.randint(2, 20)) for key in wanted["parameters"]["required"]}
            function = {"name": wanted["name"], "arguments": orjson.dumps(arguments).decode()}
            history = [
                *history,
                {"role": "assistant", "content": None, "tool_calls": [_call(call, function)]},
                {"role": "tool", "tool_call_id": call, "content": prose(rng, rng.randint(50, 800))},
            ]
        return Session(tuple(asks))


@dataclass(frozen=True, slots=True)
class Tools:
    """One question with tools at hand, of which the model is to call one."""

    name: str = "tools"
    total: int | None = None

    def session(self, seed: int, number: int) -> Session:
        """One request."""
        rng = rng_of(self.name, seed, number)
        text = f"{prose(rng, rng.randint(40, 200))} Find the file in which that is said."
        messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": text}]
        return Session((chat_ask(messages, 120, tools=TOOLS, tool_choice="auto"),))


def _call(identity: str, function: dict[str, str]) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": function}
