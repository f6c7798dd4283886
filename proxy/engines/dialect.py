"""What differs between engines, as data. Sources: the engines' code and recorded exchanges of the versions named.

Owns facts about engines. A later engine is a new entry here, not a new `if` elsewhere.
"""

from dataclasses import dataclass
from typing import Any

from proxy.model.request import Endpoint


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of engine speaks."""

    kind: str
    says_done: bool = True
    """Ends a complete stream with `data: [DONE]`."""
    answers_500_to_bad_requests: bool = False
    """A 500 may be the client's fault, so it does not count against the backend."""
    usage_on_request: frozenset[Endpoint] = frozenset()
    """Endpoints whose streams tell usage only when `stream_options.include_usage` asks for it."""
    continuous_usage: bool = False
    """Knows `stream_options.continuous_usage_stats`: usage in every event."""
    one_token_per_event: bool = False
    """Never packs several tokens into one event of a stream."""
    continues_chat: bool = False
    """Goes on with a final assistant message: `continue_final_message`, as Hugging Face chat templates mean it."""
    continues_text: bool = False
    """Takes the prompt of a completion as it stands (no template around it), so that its own text may be added."""


_CHAT = frozenset({Endpoint.CHAT})
_TEXT = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})
_ALL = (
    Dialect("openai", usage_on_request=_TEXT),  # the API itself; engines ignore options they do not know
    Dialect("vllm", usage_on_request=_TEXT, continuous_usage=True, continues_chat=True, continues_text=True),  # 0.33.0
    Dialect(
        "sglang", usage_on_request=_TEXT, continuous_usage=True, continues_chat=True, continues_text=True
    ),  # 0.5.23
    Dialect("tgi", usage_on_request=_CHAT, one_token_per_event=True, continues_text=True),  # 3.3.6
    Dialect(
        "llama_cpp",
        answers_500_to_bad_requests=True,
        one_token_per_event=True,
        continues_text=True,
    ),  # 0.5.0-dev: 500 for invalid JSON; counts in `timings`, which move to another event when usage is asked for
    Dialect("ollama", usage_on_request=_CHAT),  # 0.33.0
    Dialect("transformers", says_done=False, answers_500_to_bad_requests=True, one_token_per_event=True),  # 5.23.0
    Dialect("tensorrt_llm", usage_on_request=_TEXT),
)
DIALECTS = {dialect.kind: dialect for dialect in _ALL}
UNKNOWN = DIALECTS["openai"]

_OWNERS = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llama_cpp",
    "library": "ollama",
    "tensorrt_llm": "tensorrt_llm",
}


def recognise(models: Any, server_header: str) -> str | None:
    """The kind of engine from its answer to `GET /v1/models` (parsed) and its `Server` header; None: not told."""
    if "llama.cpp" in server_header:
        return "llama_cpp"
    entries = models.get("data") if isinstance(models, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        owner = entry.get("owned_by")
        if isinstance(owner, str) and owner in _OWNERS:
            return _OWNERS[owner]
        if entry.get("created") == 0 and isinstance(owner, str) and entry.get("id") == owner:
            return "tgi"
    return None


def listed_models(models: Any) -> frozenset[str] | None:
    """The names in an OpenAI model list; None when it is not one."""
    entries = models.get("data") if isinstance(models, dict) else None
    if not isinstance(entries, list):
        return None
    names = (entry.get("id") for entry in entries if isinstance(entry, dict))
    return frozenset(name for name in names if isinstance(name, str) and name)
