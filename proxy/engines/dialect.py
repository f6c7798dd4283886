"""What differs between engines, as data. Sources: the engines' code and recorded exchanges of the versions named.

Owns facts about engines. A later engine is a new entry here, not a new `if` elsewhere. How an engine is told by its
answers is `recognition`'s, what it tells of its load `load`'s, its refusals `refusals`'.
"""

from dataclasses import dataclass

from proxy.model.abilities import PLAIN, Traits
from proxy.model.endpoint import ENDPOINTS, Endpoint


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
    traits: Traits = PLAIN
    """What the core has to know of it."""


_CHAT = frozenset({Endpoint.CHAT})
_TEXT = frozenset(endpoint for endpoint, facts in ENDPOINTS.items() if facts.usage_on_request)
_STRICT = Traits(counts_answer=True)
_ALL = (
    Dialect("openai", usage_on_request=_TEXT),  # the API itself; engines ignore options they do not know
    Dialect(
        "vllm",
        usage_on_request=_TEXT,
        continuous_usage=True,
        continues_chat=True,
        continues_text=True,
        traits=_STRICT,
    ),  # 0.33.0
    Dialect(
        "sglang",
        usage_on_request=_TEXT,
        continuous_usage=True,
        continues_chat=True,
        continues_text=True,
        traits=_STRICT,
    ),  # 0.5.23
    Dialect("tgi", usage_on_request=_CHAT, one_token_per_event=True, continues_text=True, traits=_STRICT),  # 3.3.6
    Dialect(
        "llama_cpp",
        answers_500_to_bad_requests=True,
        one_token_per_event=True,
        continues_text=True,
    ),  # 0.5.0-dev: 500 for invalid JSON; counts in `timings`, which move to another event when usage is asked for
    Dialect("ollama", usage_on_request=_CHAT, traits=Traits(loose_names=True)),  # 0.33.0
    Dialect("transformers", says_done=False, answers_500_to_bad_requests=True, one_token_per_event=True),  # 5.23.0
    Dialect("lmdeploy", usage_on_request=_TEXT),  # by its source
    Dialect("tensorrt_llm", usage_on_request=_TEXT),
)
DIALECTS = {dialect.kind: dialect for dialect in _ALL}
UNKNOWN = DIALECTS["openai"]
