"""Claude Code and Codex before real llama-servers: 20 turns stay where their prompts are; events are the engine's own.

The model says nothing sensible and calls no tool, so that the agents do it for it: what is sent is what they send.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.engines import cache
from tests.engines.conftest import TEXT, assert_at_rest, comparable
from tests.engines.llama_server import Engine, LlamaServer, running_server
from tests.support.coding_agents import TURNS, ClaudeCode, Codex, Turn, hit
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess, ready, running_proxy

LONGER = ("--override-kv", "llama.context_length=int:8192", "-c", "16384")
"""A conversation of 20 turns is longer than the model says it can read; what it says is nonsense either way."""
PROJECTS = [f"{place} we find fire and water and go. " * 100 for place in ("above the city", "under the mountain")]
BRIEF: dict[str, Any] = {"words": 1, "insist": True}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
TOOL = {"name": "Read", "description": "a file", "input_schema": SCHEMA}
FUNCTION = {"type": "function", "name": "Read", "description": "a file", "strict": False, "parameters": SCHEMA}
REPEATABLE: dict[str, Any] = {"temperature": 0, "seed": 5, "cache_prompt": False}
Agents = list[ClaudeCode] | list[Codex]
Client = anthropic.AsyncAnthropic | openai.AsyncOpenAI


def anthropics(url: str) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0, timeout=60.0)


def openais(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=60.0)


@pytest.fixture
def two() -> Iterator[ProxyProcess]:
    """A proxy before two engines of one model; the wheel's server takes no other length for it."""
    engine = Engine.of(cache.need("llama-server"))
    with running_server(engine, TEXT, *LONGER) as one, running_server(engine, TEXT, *LONGER) as other:
        urls = {"a": one.url, "b": other.url}
        with running_proxy({"backends": [{"name": name, "url": url} for name, url in urls.items()]}) as proxy:
            ready(proxy, models=1)
            yield proxy
            assert_at_rest(proxy)


def agents_of(kind: str) -> Agents:
    if kind == "Claude Code":
        return [ClaudeCode(TEXT, rules=rules, max_tokens=4, tools=[TOOL], **BRIEF) for rules in PROJECTS]
    return [Codex(TEXT, rules=rules, max_output_tokens=4, tools=[FUNCTION], **BRIEF) for rules in PROJECTS]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Claude Code", "Codex"])
async def test_conversations_stay_where_their_prompts_are(two: ProxyProcess, kind: str) -> None:
    sessions: list[list[Turn]] = [[] for _ in PROJECTS]
    agents = agents_of(kind)
    client: Any = anthropics(two.url) if kind == "Claude Code" else openais(two.url)
    async with client:
        for _ in range(TURNS):
            done = await asyncio.gather(*(agent.turn(client) for agent in agents))
            for turns, turn in zip(sessions, done, strict=True):
                turns.append(turn)
    assert all(turn.backend for session in sessions for turn in session)
    assert hit([turn for session in sessions for turn in session[1:]]) >= 0.95, sessions
    told = [sum(getattr(turn, name) for session in sessions for turn in session) for name in ("prompt", "cached")]

    def counted() -> list[float]:
        metrics = two.metrics()
        return [metrics.total("tidegate_tokens_total", direction=direction) for direction in ("prompt", "cached")]

    eventually(lambda: counted() == told, f"counts are the engine's: {told}")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_message_is_the_engines_own(text_server: LlamaServer, proxy: ProxyProcess, stream: bool) -> None:
    agent = ClaudeCode(TEXT, rules=PROJECTS[0][:1000], max_tokens=12, tools=[TOOL], **BRIEF)
    agent.took([{"type": "text", "text": "one more day"}])
    request = agent.request() | {"extra_body": REPEATABLE}
    said = []
    for url in (text_server.url, text_server.url, proxy.url):  # the first leaves the prompt in its cache
        async with anthropics(url) as client:
            answer = await client.beta.messages.create(**request, stream=stream)
            said.append(comparable([one async for one in answer] if stream else answer))
    assert said[1] == said[2]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_is_the_engines_own(text_server: LlamaServer, proxy: ProxyProcess, stream: bool) -> None:
    agent = Codex(TEXT, rules=PROJECTS[0][:1000], max_output_tokens=12, tools=[FUNCTION], **BRIEF)
    request = agent.request() | {"extra_body": REPEATABLE}
    said = []
    for url in (text_server.url, proxy.url):
        async with openais(url) as client:
            answer = await client.responses.create(**request, stream=stream)
            said.append(comparable([one async for one in answer] if stream else answer))
    assert said[0] == said[1]


async def test_tokens_are_counted_as_the_engine_counts_them(text_server: LlamaServer, proxy: ProxyProcess) -> None:
    agent = ClaudeCode(TEXT, rules=PROJECTS[0], **BRIEF)
    counts = []
    for url in (text_server.url, proxy.url):
        async with anthropics(url) as client:
            counted = await client.beta.messages.count_tokens(model=TEXT, messages=agent.messages)  # type: ignore[arg-type]
            counts.append(counted.input_tokens)
    assert counts[0] == counts[1] > 0
