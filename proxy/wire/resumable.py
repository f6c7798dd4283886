"""Which requests can be expected to get the very text they would have had, when an engine breaks and another goes on.

Owns that verdict on a request and an engine; reasons: tests/benchmarks/RESUME.md. How it is done: `continuation`.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from proxy.model.endpoint import Endpoint

_ANY_VALUE: Final = frozenset(
    {
        *("model", "messages", "prompt", "stream", "temperature", "max_tokens", "max_completion_tokens"),  # looked at
        *("seed", "top_p", "top_k", "min_p"),  # without effect on greedy text
        *("logit_bias", "ignore_eos"),  # the same at every position
        *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "priority"),
        *("cache_salt", "parallel_tool_calls"),
    }
)
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "logprobs": (False,),
    "top_logprobs": (),
    "suffix": ("",),
    "stop": ("", []),
    "min_tokens": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
}
"""Values that ask for nothing; a field in neither table may mean anything, so it forbids a continuation."""
LIMITS: Final[tuple[str, ...]] = ("max_tokens", "max_completion_tokens")
_OPENERS: Final = frozenset({"user", "system", "developer"})


class ResumeDialect(Protocol):
    """What has to be known of an engine; `proxy.engines.base.Dialect` is one."""

    @property
    def kind(self) -> str:
        """The engine's name."""

    @property
    def one_token_per_event(self) -> bool:
        """Events can be counted instead of tokens."""

    @property
    def continues_chat(self) -> bool:
        """Goes on with a final assistant message."""

    @property
    def continues_text(self) -> bool:
        """Takes the prompt of a completion as it stands."""


def is_resumable(fields: Mapping[str, Any], endpoint: Endpoint, dialect: ResumeDialect) -> bool:
    """Whether a broken stream of this request can be expected to continue with the very text it would have had."""
    if fields.get("stream") is not True or not _is_greedy(fields) or not all(map(_is_harmless, fields.items())):
        return False
    if not all(_is_limit(fields.get(name)) for name in LIMITS):
        return False
    if endpoint is Endpoint.CHAT:
        return dialect.continues_chat and _opens_an_answer(fields.get("messages"))
    if endpoint is Endpoint.COMPLETIONS:
        return dialect.continues_text and _is_text(fields.get("prompt")) and fields.get("max_tokens") is not None
    return False


def _is_greedy(fields: Mapping[str, Any]) -> bool:
    """Temperature 0, said so. A seed is not enough: its random numbers begin anew with the next engine."""
    temperature = fields.get("temperature")
    return isinstance(temperature, int | float) and not isinstance(temperature, bool) and temperature == 0


def _is_harmless(field: tuple[str, Any]) -> bool:
    name, value = field
    if name in _ANY_VALUE or value is None:
        return True
    if name == "stream_options":
        return isinstance(value, dict) and all(k == "include_usage" or not v for k, v in value.items())
    return any(value == same and (value is False) == (same is False) for same in _NEUTRAL.get(name, ()))  # False == 0


def _is_limit(value: Any) -> bool:
    return value is None or (type(value) is int and value > 0)


def _opens_an_answer(messages: Any) -> bool:
    """Whether a plain message is the last, so that the answer is a new one, and text of ours may follow as its own."""
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and last.get("role") in _OPENERS and _is_text(last.get("content"))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and not any(0xD800 <= ord(char) <= 0xDFFF for char in value)
