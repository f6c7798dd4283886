"""A real engine and a proxy in front of it: the same call to both, by official clients, and what may differ."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

from tests.engines.kinds import EngineKind
from tests.engines.process import EngineProcess
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess

KEY = "sk-test-0123456789"
PATIENCE_S = 120.0
"""Of clients: an engine on a machine that is busy."""

# What differs from one answer to the next whoever asks: names, clocks, and what other requests left in the engine.
_VARYING = frozenset({"id", "item_id", "created", "created_at", "completed_at", "timings", "prompt_tokens_details"})
_VARYING_IDS = frozenset({"tool_call_id", "call_id", "input_tokens_details", "cache_read_input_tokens"})


def client_of(url: str) -> openai.OpenAI:
    """An official client that does not retry, so that every failure shows."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=PATIENCE_S)


def anthropic_client_of(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0, timeout=PATIENCE_S)


def comparable(value: Any) -> Any:
    """A result as plain values, with what varies between two equal calls replaced by its type."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(warnings=False)
    if isinstance(value, list | tuple):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {
            key: type(item).__name__ if key in _VARYING or key in _VARYING_IDS else comparable(item)
            for key, item in value.items()
        }
    return value


def assert_at_rest(proxy: ProxyProcess) -> None:
    """Every permit is back and nothing waits."""

    def at_rest() -> bool:
        metrics = proxy.metrics()
        return metrics.total("tidegate_backend_in_flight") == 0 == metrics.total("tidegate_held_jobs")

    eventually(at_rest, "no permit out, nothing held", 10.0)


@dataclass(frozen=True)
class Pair:
    """An engine and its proxy."""

    kind: EngineKind
    server: EngineProcess
    proxy: ProxyProcess

    def both(self, call: Callable[[openai.OpenAI], Any]) -> tuple[Any, Any]:
        """What the call gives direct and through the proxy, as plain values."""
        with client_of(self.server.url) as direct, client_of(self.proxy.url) as through:
            return comparable(call(direct)), comparable(call(through))

    def same(self, call: Callable[[openai.OpenAI], Any]) -> Any:
        """The result of a call, which has to be equal direct and through the proxy."""
        expected, got = self.both(call)
        assert got == expected
        return got

    def through(self) -> openai.OpenAI:
        return client_of(self.proxy.url)

    def chat(self, **more: Any) -> dict[str, Any]:
        """Arguments of a greedy chat."""
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Où est le café? 🙂"}]
        return {"model": self.server.model, "messages": messages, "max_tokens": 16, **self.greedy(), **more}

    def completion(self, prompt: Any, **more: Any) -> dict[str, Any]:
        return {"model": self.server.model, "prompt": prompt, "max_tokens": 12, **self.greedy(), **more}

    def greedy(self) -> dict[str, Any]:
        return {"temperature": 0, "seed": 5, "extra_body": dict(self.kind.repeatable)}
