"""Windows: how long a job may wait for others that go with it in one call to an engine, and with how many."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from proxy.model.endpoint import Endpoint
from proxy.model.limits import Count, Settings
from proxy.model.units import Duration

OFF = "off"
WindowMode = Literal["off", "fixed", "adaptive"]


class Window(NamedTuple):
    """The rule of one class and endpoint, all filled in; there is none where it is off."""

    adaptive: bool
    """It opens only where that pays, and closes at once when a backend is free."""
    max_wait_s: float
    """From its oldest job on."""
    max_jobs: int
    max_tokens: int


class Closed(StrEnum):
    """Why a window closed. Closed itself: also a metric label."""

    FULL = "full"
    AGE = "age"
    """Its oldest job waited as long as any may."""
    DEADLINE = "deadline"
    """One of its jobs has no more time to wait, or goes before others."""
    IDLE = "idle"
    """A backend is free."""
    TOKENS = "tokens"


class Gathered(NamedTuple):
    """What a window was, of jobs that leave it together."""

    closed: Closed
    waits_s: tuple[float, ...]
    """Of each job in it, in their order."""


class WindowSettings(Settings):
    """Jobs that wait for others, to be sent as one. Chats are never merged; single inputs of embeddings, rankings,
    scores, moderations and whole completions become one array, and each caller gets what it would have got alone."""

    mode: WindowMode = "adaptive"
    """`adaptive`: only where a call costs more than waiting does, and not while a backend is free. `fixed`: always, for
    `max_wait`. `off`: nothing waits and nothing is merged. `window: off` is short for this option alone."""
    max_wait: Duration = 0.01
    """Longest wait of the oldest job."""
    max_jobs: Count = 32
    """Requests in one call. An engine's own limit is learned from its refusals."""
    max_tokens: Count = 8192
    """Estimated prompt tokens in one call."""

    def rule(self) -> Window | None:
        """None: nothing waits."""
        if self.mode == OFF:
            return None
        return Window(self.mode == "adaptive", self.max_wait, self.max_jobs, self.max_tokens)


DEFAULT_WINDOW = WindowSettings().rule()


def window_of(
    of_class: WindowSettings | None, of_endpoints: Mapping[Endpoint, WindowSettings], endpoint: Endpoint
) -> Window | None:
    """What holds for a class at an endpoint: its own, that of the endpoint, the default."""
    settings = of_endpoints.get(endpoint) if of_class is None else of_class
    return DEFAULT_WINDOW if settings is None else settings.rule()


def by_mode(value: Any) -> Any:
    """`window: off` means `window: {mode: off}`."""
    return {"mode": value} if isinstance(value, str) else value
