"""Where a request goes instead of being refused."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from proxy.model.limits import Settings
from proxy.model.rules import RuleLabel

_Model = Annotated[str, Field(min_length=1, max_length=256)]
MAX_WAYS = 4
"""Ways tried for one request."""


class FallbackSettings(Settings):
    """Tried before a request is refused; answered at once or not at all. The answer's `x-tidegate-route` tells."""

    model: _Model | None = None
    """Another model, which `x-tidegate-model` then names; in any pool unless `pool` says which. null: the same
    one."""
    pool: RuleLabel | None = None
    """Another pool. It is kept for this: such requests do not go there at first. null: any."""

    @property
    def exists(self) -> bool:
        """Whether anything is written."""
        return self.model is not None or self.pool is not None


class ModelSettings(Settings):
    """What is special about one model."""

    name: _Model
    """As clients ask for it."""
    fallback: FallbackSettings = FallbackSettings()
    """For requests of this model that cannot be served in time; those of their class go before."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to serve a request otherwise, all filled in."""

    model: str
    require: frozenset[str]
    """Labels a backend must have."""
    said: str
    """For people: `model:NAME`, `pool:NAME` or both, joined by `,`."""


def printable(model: str) -> str:
    """A model's name as it can stand in a header, percent-encoded where it must be."""
    return quote(model, safe="/:._-@+")
