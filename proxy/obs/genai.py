"""What a request is in the words of the GenAI semantic conventions: operation, provider, models, server.

Owns the names of attributes that spans and metrics share. Values come from the configuration, from closed sets or from
engines; a model's name that only a client knows is in none of them.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.outcome import Verdict
from proxy.obs.record import Record

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
SYSTEM: Final = "gen_ai.system"
"""What older conventions call the provider."""
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
COUNTED: Final = "gen_ai.token.type"
"""`input` or `output`."""
ADDRESS: Final = "server.address"
PORT: Final = "server.port"
ERROR: Final = "error.type"
US: Final = "tidegate"
"""Provider of what no engine was asked for."""

_MAX_NAME: Final = 256
"""Characters of a model's name."""
_OPERATIONS: Final = {
    Endpoint.CHAT: "chat",
    Endpoint.RESPONSES: "chat",
    Endpoint.MESSAGES: "chat",
    Endpoint.OLLAMA_CHAT: "chat",
    Endpoint.CHAT_BATCH: "chat",
    Endpoint.OLLAMA_GENERATE: "text_completion",
    Endpoint.OLLAMA_EMBED: "embeddings",
    Endpoint.LLAMA_COMPLETION: "text_completion",
    Endpoint.LLAMA_INFILL: "text_completion",
    Endpoint.GENERATE: "text_completion",
    Endpoint.GENERATE_STREAM: "text_completion",
    Endpoint.COMPLETIONS: "text_completion",
    Endpoint.EMBEDDINGS: "embeddings",
}


class Engine(NamedTuple):
    """One backend as telemetry names it."""

    address: str
    port: int
    kind: str
    """Of engine, as far as it is known."""


Engines = Callable[[str], Engine | None]
"""By the name of its backend; None: it is there no more."""


class Facts(NamedTuple):
    """Of an endpoint."""

    operation: str
    """One of the well-known names, or the endpoint's own."""
    works: bool
    """A model works there: all else (health, lists, unknown routes) is no GenAI operation."""
    generates: bool
    """It is an inference in the words of the conventions."""


FACTS: Final = {
    endpoint.value: Facts(_OPERATIONS.get(endpoint, endpoint.value), facts.works, facts.generates)
    for endpoint, facts in ENDPOINTS.items()
}
"""By the endpoint of a Record."""


def error_type(record: Record) -> str:
    """The kind of fault that it ended in; empty: none, or its client left."""
    outcome = record.outcome
    if outcome.fault is None or outcome.verdict is Verdict.CANCELLED:
        return ""
    return outcome.fault.kind.value


def models(record: Record) -> tuple[str, str]:
    """Asked for and served; empty: nobody served any."""
    served = record.model_served[:_MAX_NAME]
    return (record.model_asked[:_MAX_NAME], served) if served else ("", "")
