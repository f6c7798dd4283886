"""Where a request goes instead of being refused, or when its first choice fails."""

from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import quote

from proxy.model.bounds import Bounds
from proxy.model.parameters import ParameterSettings
from proxy.model.rules import RuleLabel

_Model = Annotated[str, Bounds(min_length=1, max_length=256)]
MAX_WAYS = 4
"""Ways tried for one request."""
Cause = Literal["unreachable", "busy", "error", "context"]
USUAL_CAUSES: tuple[Cause, ...] = ("unreachable", "busy", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackSettings:
    """Tried before a request is refused here, and when its first choice fails before a byte of its answer; served at
    once or not at all. The answer's `x-tidegate-route` tells."""

    model: _Model | None = None
    """Another model, which `x-tidegate-model` then names; in any pool unless `pool` says which. null: the same one,
    or the first of `models`."""
    models: Annotated[tuple[_Model, ...], Bounds(max_length=MAX_WAYS)] = ()
    """More of them, tried in this order after `model`."""
    pool: RuleLabel | None = None
    """Another pool. It is kept for this: such requests do not go there at first. null: any."""
    on: tuple[Cause, ...] = USUAL_CAUSES
    """What makes a first choice fail: `unreachable`: none of its backends is there; `busy`: they say that they are
    full; `error`: they fail, or are ejected for having failed; `context`: the prompt is too long for them."""

    @property
    def names(self) -> tuple[str, ...]:
        """All models, in order."""
        return self.models if self.model is None else (self.model, *self.models)

    @property
    def exists(self) -> bool:
        """Whether anything is written."""
        return bool(self.names) or self.pool is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What is special about one model."""

    name: _Model
    """As clients ask for it."""
    fallback: FallbackSettings = FallbackSettings()
    """For requests of this model that cannot be served in time, or whose backends fail; that of their class goes
    before."""
    revision: Annotated[str, Bounds(min_length=1, max_length=256)] | None = None
    """Of its weights, in any words: answers that are kept are those of one revision. null: as its engines tell it."""
    parameters: ParameterSettings = ParameterSettings()
    """Fields of its requests that are changed, whatever backend takes them; those of the backend are changed after."""


@dataclass(frozen=True, slots=True)
class FallbackStep:
    """One way to serve a request otherwise, all filled in."""

    model: str
    require: frozenset[str]
    """Labels a backend must have."""
    said: str
    """For people: `model:NAME`, `pool:NAME` or both, joined by `,`."""
    on: frozenset[str] = frozenset(USUAL_CAUSES)
    """Causes for which it is taken, beside refusals of our own."""


def printable(model: str) -> str:
    """A model's name as it can stand in a header, percent-encoded where it must be."""
    return quote(model, safe="/:._-@+")
