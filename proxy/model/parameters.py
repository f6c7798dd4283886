"""Fields of request bodies that the operator sets, fills in or takes out on their way to an engine.

Owns what can be said; `proxy.wire.parameters` does it.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from proxy.model.bounds import Bounds

_Field = Annotated[str, Bounds(pattern="^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]

RESERVED: Final = frozenset(
    {"model", "messages", "prompt", "input", "stream", "stream_options", "previous_response_id", "conversation"}
)
"""What a request is routed, metered and answered by: a change would make another request of it."""


@dataclass(frozen=True, slots=True)
class ParameterSettings:
    """Fields of JSON bodies that reach an engine otherwise than the client sent them."""

    set: Annotated[dict[_Field, Any], Bounds(max_length=32)] = field(default_factory=dict)
    """Field: the value it has whatever the client says, such as `{top_k: 20}`; where answers are generated."""
    default: Annotated[dict[_Field, Any], Bounds(max_length=32)] = field(default_factory=dict)
    """Field: the value it has where the client says none, such as `{temperature: 0.6}`; where answers are generated."""
    drop: Annotated[tuple[_Field, ...], Bounds(max_length=32)] = ()
    """Fields taken out, such as `[logit_bias]`, since the engine refuses requests that have them."""

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(self.set or self.default or self.drop)
