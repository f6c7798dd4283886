"""What a request's time was spent on, beside what happens here: stages that its client reports, and their budgets.

Owns the words for it and how much of it is kept; the stopwatch is `model.timeline`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple

from proxy.model.bounds import Bounds, Duration

QUEUE: Final = "queue"
WINDOW: Final = "window"
PREFILL: Final = "prefill"
DECODE: Final = "decode"
ENGINE: Final = "engine"
REPAIR: Final = "repair"
POST_PROCESS: Final = "post_process"
TOTAL: Final = "total"
UNATTRIBUTED: Final = "unattributed"
OTHER: Final = "other"
"""What metrics call a stage that is neither known nor configured."""

OURS: Final = frozenset({QUEUE, WINDOW, PREFILL, DECODE, ENGINE, REPAIR, UNATTRIBUTED})
"""Measured here: nobody else may report them."""
KNOWN: Final = ("retrieval", "rerank", "prompt_assembly", POST_PROCESS)
"""Stages of others that need no configuration to have a series of their own."""
MOST_STAGES: Final = 64
"""Of one request, ours not counted."""
NAME_PATTERN: Final = r"^[a-z][a-z0-9_.-]{0,31}$"


class Stage(NamedTuple):
    """One of them, as its client reports it."""

    ms: float
    hits: int = 0
    lookups: int = 0
    """Of a cache that it has; 0: it says nothing of one."""


Stages = Mapping[str, Stage]


class Reported(NamedTuple):
    """What one report says."""

    stages: Stages
    ignored: Mapping[str, int]
    """Entries that say nothing, by why: `malformed`, `duration`, `name`, `duplicate`, `too_many`."""


NOTHING_REPORTED: Final = Reported(MappingProxyType({}), MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """One stage of the pipeline around a model."""

    budget: Duration | None = None
    """What it should take at most; requests in which it takes longer are counted. null: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingSettings:
    """What clients are told of where their time went."""

    server_timing: bool = True
    """Every answer carries the header `Server-Timing`: a whole one complete, a stream what is known when it begins."""
    keep: Annotated[int, Bounds(ge=0, le=1_000_000)] = 1024
    """Requests whose complete timing `GET /v1/tidegate/requests/{id}` tells, with the key that asked: so many of the
    last ones at most, half of them always. 0: of none."""
    max_age: Duration = 600.0
    """After so long it is told no more."""
