"""What an engine may be unable to do for a request, and what a request needs of an engine."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from proxy.model.endpoint import Endpoint


class Lack(StrEnum):
    """Closed. All but the endpoint and the context are also what requests may need."""

    ENDPOINT = "endpoint"
    """The route is not there, or its model is of another kind."""
    CONTEXT = "context"
    """Prompt and answer are longer than its context."""
    TOOLS = "tools"
    IMAGES = "images"
    AUDIO = "audio"
    PROMPTS = "prompts"
    """Several prompts in one request, or token ids: it takes one text."""


NOTHING_NEEDED: Final[frozenset[Lack]] = frozenset()


class Cannot(NamedTuple):
    """An engine said that it cannot serve a request which another one may be able to serve."""

    lack: Lack
    limit: int | None = None
    """Tokens of its context, where it tells them."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What the core has to know of a kind of engine."""

    loose_names: bool = False
    """Takes `llama3.2` for `llama3.2:latest`: see `model_name`."""
    counts_answer: bool = False
    """Refuses a request whose `max_tokens` do not fit beside its prompt; others stop at the context's end."""
    no_arrays: frozenset[Endpoint] = frozenset()
    """Where it takes one input a request, or miscounts several."""


PLAIN: Final = Traits()
