"""What the scheduler says (commands) and what it is told (reports). Attempts are named by their ids, unique in one
scheduler: an id says which jobs, which backend and which of several attempts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from proxy.model.abilities import Cannot, Lack, Traits
from proxy.model.engine_facts import EngineFacts
from proxy.model.fallback import FallbackStep
from proxy.model.faults import Fault
from proxy.model.windows import Gathered


@dataclass(slots=True, init=False)
class Dispatch:
    """A new attempt: send these jobs to this backend now; the permit is taken. Or one job that gets the answer of an
    attempt that is out already, whose id it names: nothing is sent for it."""

    jobs: tuple[int, ...]
    """Those that go as one call; the first leads. One that joins an attempt that is out is named alone."""
    backend: str
    attempt: int
    """Its id."""
    number: int = 1
    """Which of its job's attempts it is, from 1."""
    hedge: bool = False
    """A second attempt beside one that is late; the first token decides which one goes on."""
    held_s: float = 0.0
    """Seconds it waited here since it was submitted or its last attempt ended."""
    way: FallbackStep | None = None
    """Served otherwise than asked for: by another model or pool."""
    gathered: Gathered | None = None
    """The window that its jobs left; None: none."""
    in_flight: int = 0
    """Permits of the backend that are out, this one included."""
    ttft_s: float = 0.0
    """Predicted from here to the first token; 0: nothing was."""

    def __init__(
        self,
        jobs: tuple[int, ...],
        backend: str,
        attempt: int,
        number: int = 1,
        hedge: bool = False,
        held_s: float = 0.0,
        way: FallbackStep | None = None,
        gathered: Gathered | None = None,
        in_flight: int = 0,
        ttft_s: float = 0.0,
    ) -> None:
        self.jobs = jobs
        self.backend = backend
        self.attempt = attempt
        self.number = number
        self.hedge = hedge
        self.held_s = held_s
        self.way = way
        self.gathered = gathered
        self.in_flight = in_flight
        self.ttft_s = ttft_s


class Reason(StrEnum):
    """Which limit a refused job would have broken. Closed: also a metric label."""

    YIELD = "yield"
    """Others would feel a line of a batch."""
    TTFT = "ttft"
    TPOT = "tpot"
    DUTY = "duty"
    """Share of time a backend spends on prefills."""
    KV = "kv"
    SEATS = "seats"
    DEADLINE = "deadline"
    QUOTA = "quota"
    """Of its tenant."""
    QUEUE = "queue"
    """One more held job would break a bound."""


@dataclass(slots=True)
class Refuse:
    """The job is over; tell the client why."""

    job_id: int
    fault: Fault
    reason: Reason | None = None
    """Set when admission refused."""


@dataclass(slots=True)
class Abort:
    """Stop this attempt; its permit is already given back. A job that has no other attempt out has its next command
    (`Dispatch` or `Refuse`) in the same answer or later."""

    jobs: tuple[int, ...]
    attempt: int
    backend: str


Command = Dispatch | Refuse | Abort


class Part(NamedTuple):
    """Of an answer for several jobs: the tokens of one of them, as far as they are known."""

    job_id: int
    prompt_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(slots=True, init=False)
class Finished:
    """The backend answered to the last byte (an answer of its own with a 4xx status included). Tokens are those of the
    engine's `usage`; None: it tells none."""

    attempt: int
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    """Of the prompt, found in the engine's prefix cache."""
    output_tokens: int | None = None
    ok: bool = True
    """False: an answer of its own with an error status, which says nothing about speed or health."""
    parts: tuple[Part, ...] = ()
    """Of each job of a merged call. Without it the leader has used all, and who shares its answer nothing."""
    missing: tuple[int, ...] = ()
    """Jobs of a merged call that it has no answer for: each goes again, alone."""
    calls: int = 1
    """Sent to the engine: more than one where it did not answer all inputs together."""
    refused: int = 0
    """The fewest inputs that it did not answer together, though each by itself; 0: there is no such number."""
    cut: bool = False
    """It left out a part of the prompt: its tokens do not tell how long the prompt was."""

    def __init__(
        self,
        attempt: int,
        prompt_tokens: int | None = None,
        cached_tokens: int | None = None,
        output_tokens: int | None = None,
        ok: bool = True,
        parts: tuple[Part, ...] = (),
        missing: tuple[int, ...] = (),
        calls: int = 1,
        refused: int = 0,
        *,
        cut: bool = False,
    ) -> None:
        self.attempt = attempt
        self.prompt_tokens = prompt_tokens
        self.cached_tokens = cached_tokens
        self.output_tokens = output_tokens
        self.ok = ok
        self.parts = parts
        self.missing = missing
        self.calls = calls
        self.refused = refused
        self.cut = cut


@dataclass(slots=True, init=False)
class Failed:
    """The attempt failed. `repeatable`: no byte has reached the client and sending it again is safe. Whose a fault of
    the client's in a merged call is, nobody knows unless `culprits` says: each of its jobs goes again, alone."""

    attempt: int
    fault: Fault
    repeatable: bool
    culprits: tuple[int, ...] = ()
    """Jobs of a merged call that have the fault: it is their end. The others go again, together and at no cost."""
    too_many: bool = False
    """The engine takes no call with so many inputs: its jobs go again in smaller ones, at no cost."""
    cap: int | None = None
    """How many it says that it takes."""

    def __init__(
        self,
        attempt: int,
        fault: Fault,
        repeatable: bool,
        culprits: tuple[int, ...] = (),
        too_many: bool = False,
        cap: int | None = None,
    ) -> None:
        self.attempt = attempt
        self.fault = fault
        self.repeatable = repeatable
        self.culprits = culprits
        self.too_many = too_many
        self.cap = cap


@dataclass(slots=True, init=False)
class FirstByte:
    """The backend began to answer."""

    attempt: int

    def __init__(
        self,
        attempt: int,
    ) -> None:
        self.attempt = attempt


@dataclass(slots=True, init=False)
class FirstToken:
    """The first event of a stream that holds content. To be reported before it is passed on to the client."""

    attempt: int

    def __init__(
        self,
        attempt: int,
    ) -> None:
        self.attempt = attempt


@dataclass(frozen=True, slots=True)
class Probed:
    """An active probe ended. `models`: names listed; None when the engine answers but does not list any."""

    backend: str
    ok: bool
    models: frozenset[str] | None = None
    reached: bool = True
    """False: no connection could be made, so that nothing is there."""
    fault: Fault | None = None
    """Why not; None: not told."""
    contexts: dict[str, int] | None = None
    """Context lengths by the engine's own names, tokens; None: nothing is known of any."""
    traits: Traits | None = None
    """Of its kind of engine; None: as before."""
    kind: str | None = None
    """Of engine; empty: it did not tell. None: as before."""
    routes: frozenset[str] | None = None
    """Labels of the routes that its kind has, of those that not all have; None: as before."""


@dataclass(frozen=True, slots=True)
class Load:
    """What an engine's metrics said of its load; None: it does not tell. Checked by the core: nonsense is ignored."""

    backend: str
    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    """Share of the KV budget in use, 0 to 1."""
    kv_tokens: float | None = None
    """The KV budget itself."""
    seats: float | None = None
    """Requests it runs at once."""
    loaded: frozenset[str] | None = None
    """Models in memory, by the engine's own names."""
    contexts: dict[str, int] | None = None
    """Context lengths by the engine's own names, tokens."""
    asleep: bool | None = None
    """It takes no requests until somebody wakes it."""
    unloaded: bool | None = None
    """Its one model is not in memory, and is loaded again by the next request."""
    facts: EngineFacts | None = None
    """What it says of itself beside its load; None: as before."""
    precisions: dict[str, str] | None = None
    """Of the weights of each model, by the engine's own names, where it has several; None: as before."""
    unable: dict[str, frozenset[Lack]] | None = None
    """What it says that each of its models cannot, by the engine's own names; None: it does not tell."""
    resting: bool = False
    """It was not asked how many it runs, so as to leave it alone: what it told last stands."""


@dataclass(frozen=True, slots=True)
class Flowed:
    """What the streams of a backend brought since the last such report, about a second ago: those that flowed all the
    time, and were not kept back by a slow client."""

    backend: str
    stream_s: float
    """Seconds of all of them together."""
    tokens: float


@dataclass(frozen=True, slots=True)
class Restarted:
    """The engine forgot everything (restart, sleep): its prefix cache is empty."""

    backend: str


@dataclass(frozen=True, slots=True)
class Identified:
    """What stands behind a URL said what it is."""

    backend: str
    engine: str
    """The same for the same kind, version and models, and else another one; readable by nobody."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An engine said that it cannot serve an attempt; to be told before `Failed` or `Finished`."""

    attempt: int
    cannot: Cannot


@dataclass(frozen=True, slots=True)
class Remaining:
    """The head of an answer said how much of a quota is left; None: it does not say. To be told before `Failed` or
    `Finished`."""

    attempt: int
    requests: float | None = None
    requests_reset_s: float | None = None
    """Until it is whole again."""
    requests_limit: float | None = None
    """The whole."""
    tokens: float | None = None
    tokens_reset_s: float | None = None
    tokens_limit: float | None = None


Report = (
    Finished | Failed | FirstByte | FirstToken | Probed | Load | Flowed | Restarted | Identified | Refused | Remaining
)
