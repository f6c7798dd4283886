"""What Claude Code and Codex send, re-created from public descriptions with the official clients: tool loops.

Both programs keep the whole conversation and send all of it with each turn. What they read of an answer goes into the
next request as it came: texts, thoughts with their signatures, calls, reasoning that only the engine can read.

Sources: Claude Code's gateway protocol reference, the issue trackers of llama.cpp, vLLM and Codex, Codex's `codex-api`.
"""

import json
import uuid
from typing import Any, NamedTuple

import anthropic
import openai

TURNS = 20
CODING_BETAS = ["claude-code-20250219", "interleaved-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14"]
RULES = "\n".join(
    f"Rule {number}: before you touch drawer {number % 13}, count its {number * 7} spoons, and write down what you saw."
    for number in range(400)
)
NAMES = (
    "Read",
    "Edit",
    "Write",
    "Grep",
    "Glob",
    "Bash",
    "Task",
    "WebFetch",
    "TodoWrite",
    "NotebookEdit",
    "Skill",
    "Ask",
)
PATH = {"type": "string", "description": "Absolute. " * 10}
PARAMETERS = {"type": "object", "properties": {"path": PATH}, "required": ["path"], "additionalProperties": False}


class Turn(NamedTuple):
    """One request's tokens, as the client was told them, and where it went."""

    prompt: int
    cached: int
    backend: str


def hit(turns: list[Turn]) -> float:
    """Share of the prompts' tokens that were found in a cache."""
    return sum(turn.cached for turn in turns) / sum(turn.prompt for turn in turns)


def described(name: str) -> str:
    """Of a tool; some kilobytes, as those of agents are."""
    return f"{name}s what it is told to. " + f"Never {name.lower()} twice what was once enough. " * 30


def result_of(number: int, name: str, words: int = 60) -> str:
    """What a tool found."""
    return f"{name} found in line {number}: " + f"value {number * 31} " * words


def backend_of(route: str) -> str:
    """Of `x-tidegate-route`; empty without a proxy."""
    parts = dict(part.split("=", 1) for part in route.split("; ")) if route else {}
    return parts.get("backend", "")


class ClaudeCode:
    """One session of it. `rules` is most of the system prompt, a tool's result has so many `words`; `more` are fields
    of each request. `insist`: a tool is called after each answer, for a model that calls none."""

    def __init__(
        self,
        model: str,
        *,
        rules: str = RULES,
        max_tokens: int = 400,
        words: int = 60,
        insist: bool = False,
        **more: Any,
    ) -> None:
        self.session = str(uuid.uuid4())
        self.messages: list[dict[str, Any]] = []
        self._model, self._rules, self._max_tokens, self._more = model, rules, max_tokens, more
        self._words, self._insist = words, insist
        self._tools = [{"name": name, "description": described(name), "input_schema": PARAMETERS} for name in NAMES]
        self.say(f"Please mend bug {self.session} in the parser. Begin with Read.")

    def say(self, text: str) -> None:
        """What the user says."""
        self.messages.append({"role": "user", "content": [{"type": "text", "text": text}]})

    def request(self) -> dict[str, Any]:
        """Of the next turn: the stamp at the front is another one each time, the marks stand at the newest messages."""
        stamp = f"x-anthropic-billing-header: cc_version=2.1.117.48f; cc_entrypoint=cli; cch={uuid.uuid4().hex[:5]};"
        mark = {"cache_control": {"type": "ephemeral"}}
        system = [
            {"type": "text", "text": stamp},
            {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude.", **mark},
            {"type": "text", "text": self._rules, **mark},
        ]
        user = json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": self.session})
        return {
            "model": self._model,
            "max_tokens": self._max_tokens,
            "system": system,
            "tools": self._tools,
            "messages": [*self.messages[:-1], self._marked(self.messages[-1])],
            "metadata": {"user_id": user},
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "betas": CODING_BETAS,
            "extra_body": {"temperature": 1.0},  # the client has no word for it any more
            "extra_query": {"beta": "true"},  # nor does it write this
            "extra_headers": self.headers(),
            **self._more,
        }

    def headers(self) -> dict[str, str]:
        return {
            "user-agent": "claude-cli/2.1.117 (external, cli)",
            "x-app": "cli",
            "x-claude-code-session-id": self.session,
            "anthropic-dangerous-direct-browser-access": "true",
        }

    @staticmethod
    def _marked(message: dict[str, Any]) -> dict[str, Any]:
        *others, last = message["content"]
        return {**message, "content": [*others, {**last, "cache_control": {"type": "ephemeral"}}]}

    async def turn(self, client: anthropic.AsyncAnthropic) -> Turn:
        """Sends one, takes the answer into the conversation and does what its calls say."""
        async with client.beta.messages.stream(**self.request()) as stream:
            answer = await stream.get_final_message()
            backend = backend_of(stream.response.headers.get("x-tidegate-route", ""))
        self.took([block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in answer.content])
        used = answer.usage
        cached = used.cache_read_input_tokens or 0
        return Turn(used.input_tokens + cached + (used.cache_creation_input_tokens or 0), cached, backend)

    def took(self, content: list[dict[str, Any]]) -> None:
        """The answer, and the results of its calls; where it calls nothing, the user says to go on."""
        number = len(self.messages)
        if self._insist:
            call = {"type": "tool_use", "id": f"toolu_{number}", "name": "Read", "input": {"path": "a"}}
            content = [*content, call]
        self.messages.append({"role": "assistant", "content": content})
        results = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": result_of(number, "Read", self._words)}
            for block in content
            if block["type"] == "tool_use"
        ]
        self.messages.append(
            {"role": "user", "content": results or [{"type": "text", "text": result_of(number, "Go", self._words)}]}
        )


class Codex:
    """One thread of it, as above."""

    def __init__(self, model: str, *, rules: str = RULES, words: int = 60, insist: bool = False, **more: Any) -> None:
        self.thread = str(uuid.uuid4())
        self.items: list[dict[str, Any]] = []
        self._model, self._rules, self._more = model, rules, more
        self._words, self._insist = words, insist
        self._tools = [
            {
                "type": "function",
                "name": name,
                "description": described(name),
                "strict": False,
                "parameters": PARAMETERS,
            }
            for name in NAMES
        ]
        self.say(f"Please mend bug {self.thread} in the parser. Begin with Read.")

    def say(self, text: str) -> None:
        """What the user says."""
        content = [{"type": "input_text", "text": text}]
        self.items.append({"type": "message", "role": "user", "content": content})

    def request(self) -> dict[str, Any]:
        """Of the next turn: nothing is stored, and what the engine thought comes back to it."""
        return {
            "model": self._model,
            "instructions": self._rules,
            "input": self.items,
            "tools": self._tools,
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"effort": "medium", "summary": "auto"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": self.thread,
            "extra_headers": {
                "originator": "codex_cli_rs",
                "session-id": self.thread,
                "thread-id": self.thread,
                "x-client-request-id": self.thread,
                "x-codex-window-id": f"{self.thread}:0",
                "user-agent": "codex_cli_rs/0.140.0 (Linux; x86_64)",
            },
            **self._more,
        }

    async def turn(self, client: openai.AsyncOpenAI) -> Turn:
        """Sends one, takes the answer into the conversation and does what its calls say."""
        raw = await client.responses.with_raw_response.create(**self.request(), stream=True)
        backend = backend_of(raw.headers.get("x-tidegate-route", ""))
        done: Any = None
        async for event in raw.parse():
            done = event
        assert done.type in ("response.completed", "response.incomplete"), done
        self.took([item.model_dump(exclude_none=True, warnings=False) for item in done.response.output])
        used = done.response.usage
        return Turn(used.input_tokens, used.input_tokens_details.cached_tokens, backend)

    def took(self, output: list[dict[str, Any]]) -> None:
        """The answer, and the results of its calls; where it calls nothing, the user says to go on."""
        number = len(self.items)
        if self._insist:
            call = {"type": "function_call", "call_id": f"call_{number}", "name": "Read", "arguments": '{"path": "a"}'}
            output = [*output, call]
        self.items += output
        results = [
            {
                "type": "function_call_output",
                "call_id": item["call_id"],
                "output": result_of(number, "Read", self._words),
            }
            for item in output
            if item["type"] == "function_call"
        ]
        self.items += results
        if not results:
            self.say(result_of(number, "Go", self._words))
