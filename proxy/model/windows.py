"""Windows: how long a job may wait for others that go with it in one call to an engine, and with how many."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal, NamedTuple

from proxy.model.bounds import Bounds, Count, Duration
from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.rules import EndpointName

OFF = "off"
LONGEST_S: Final = 600.0
WindowMode = Literal["off", "fixed", "adaptive"]


class Window(NamedTuple):
    """The rule of one class and endpoint, all filled in; there is none where it is off."""

    adaptive: bool
    """It opens only where that pays, and closes at once when a backend is free."""
    max_wait_s: float
    """From its oldest job on."""
    max_jobs: int
    max_tokens: int
    across_tenants: bool = True
    shares: bool = True
    """Identical requests have one attempt."""


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


class Company(NamedTuple):
    """With whom one job was sent."""

    jobs: int
    """Of the call, itself included."""
    leads: bool
    """It stands for the call where calls are counted."""
    closed: Closed | None = None
    """Why its window closed; None: it was in none."""
    waited_s: float | None = None
    """In that window."""
    joins: bool = False
    """It has the answer of a call that was out already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSettings:
    """Jobs that wait for others, to be sent as one. Chats are never merged; single inputs of embeddings, rankings,
    scores, moderations and whole completions become one array, and each caller gets what it would have got alone."""

    mode: WindowMode = "adaptive"
    """`adaptive`: only where a call costs more than waiting does, and not while a backend is free. `fixed`: always, for
    `max_wait`. `off`: nothing waits and nothing is merged. `window: off` is short for this option alone."""
    max_wait: Annotated[Duration, Bounds(le=LONGEST_S)] = 0.01
    """Longest wait of the oldest job, 10m at most. Deadlines end it sooner."""
    max_jobs: Count = 32
    """Requests in one call. An engine's own limit is learned from its refusals."""
    max_tokens: Count = 8192
    """Estimated prompt tokens in one call."""
    across_tenants: bool = True
    """Requests of several tenants may go in one call; their answers are told apart by us. Requests whose keys reach an
    engine (a backend without `api_key`) go only with others of the same key."""
    share_identical: bool = True
    """Identical requests of one tenant that are under way at the same time, and whose answers can only be the same
    (embeddings, rankings, texts at temperature 0), have one attempt: each gets all of its answer."""

    def rule(self) -> Window | None:
        """None: nothing waits."""
        if self.mode == OFF:
            return None
        return Window(
            self.mode == "adaptive",
            self.max_wait,
            self.max_jobs,
            self.max_tokens,
            self.across_tenants,
            self.share_identical,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointWindow(WindowSettings):
    """The windows of one endpoint."""

    endpoint: EndpointName
    """For requests of this endpoint, of every class that has no window of its own."""


_NOWHERE: Final[dict[Endpoint, Window | None]] = {}


class Windows:
    """Which window holds for a class at an endpoint: that of the class, else that of the endpoint, else the default."""

    def __init__(
        self, of_classes: Mapping[str, WindowSettings | None], of_endpoints: Iterable[EndpointWindow] = ()
    ) -> None:
        own: dict[Endpoint, WindowSettings] = {Endpoint(entry.endpoint): entry for entry in of_endpoints}
        default = WindowSettings()
        self._rules: dict[str, dict[Endpoint, Window | None]] = {
            name: {
                endpoint: (settings or own.get(endpoint, default)).rule()
                for endpoint, facts in ENDPOINTS.items()
                if facts.generates or facts.inputs
            }
            for name, settings in of_classes.items()
        }

    def of(self, traffic_class: str, endpoint: Endpoint) -> Window | None:
        """None: nothing waits and nothing is merged."""
        return self._rules.get(traffic_class, _NOWHERE).get(endpoint)
