"""Traffic classes: what the operator promises to a kind of request, and how its streams look."""

from typing import Annotated, Literal

from pydantic import Field

from proxy.model.limits import Settings
from proxy.model.units import Duration

DEFAULT_CLASS = "interactive"


class StreamSettings(Settings):
    """How a stream reaches the client. Text, order and usage never change, only event borders and their moments."""

    granularity: Literal["engine", "token", "text"] = "engine"
    """`engine`: as the engine packs its events. `token`: one event per token. `text`: whole characters and words, for
    clients on bad links."""
    pace: Literal["off", "smooth"] = "off"
    """`smooth`: tokens that arrive in a burst are spread over the usual gap between tokens."""
    max_delay: Duration = 0.05
    """`smooth`: no token is held back longer than this, and no stream grows by more."""
    flush: Duration = 0.0
    """`text`: unfinished text is passed on after this time at the latest. 0: at its next border."""
    ping: Duration = 0.0
    """A comment line after so much silence, for intermediaries that cut quiet connections. It makes the answer's head
    go out before the first token, so that a later error is an event instead of a status. 0: never."""
    resume: bool = False
    """When a backend dies inside a greedy or seeded text, another one continues it from the text so far."""


class ClassSettings(Settings):
    """One traffic class."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    """What logs, metrics and the request header `x-tidegate-class` call it; `interactive` and `bulk` always exist."""
    stream: StreamSettings = StreamSettings()
    """How its streams look."""


def with_built_in(classes: tuple[ClassSettings, ...]) -> dict[str, ClassSettings]:
    """All classes by name: those of the operator, and the built-in ones where the operator said nothing."""
    built_in = (ClassSettings(name=DEFAULT_CLASS), ClassSettings(name="bulk"))
    return {entry.name: entry for entry in (*built_in, *classes)}
