"""What the process that makes the load is told of one cell, and what it tells back: JSON, one object a line.

Owns the words between the two. The keys of targets go this way too: a pipe, not a command line.
"""

from dataclasses import fields
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter

from proxy.bench.details import Detail, Side
from proxy.bench.rows import Row
from proxy.bench.run_file import Arrivals, Client, Warmup


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetSpec(_Words):
    """Where requests go, and what they have in common there."""

    url: str
    model: str = ""
    headers: dict[str, str] = {}
    insecure: bool = False
    includes_usage: bool = True
    ignores_end: bool = False
    salt: str = ""
    sends_class: bool = False
    """It knows the traffic classes that workloads name."""


class LoadSpec(_Words):
    """One cell."""

    cell: str
    workload: list[str]
    seed: int
    arrivals: Arrivals
    targets: dict[Side, TargetSpec]
    requests: int | None = None
    duration_s: float | None = None
    warmup: int = 0
    fills_caches: bool = False
    """All requests are sent once before they are measured."""
    cancel: float = 0.0
    """Share of the requests whose client leaves early."""
    timeout_s: float = 300.0
    tokenizer: str = ""
    """Counts where a server does not; a name or a file."""
    keeps_text: bool = False
    asks_stages: bool = True
    """A proxy is asked where the time of each stream went, when it is over."""
    done: dict[Side, list[int]] = {}
    """Measured before: a run that is gone on with."""


class Beat(_Words):
    """Where it stands, twice a second."""

    phase: Literal["filling", "warming up", "measuring", "ending"]
    open: int
    sent: int
    lag_ms: float


class Sample(_Words):
    """A request that is over; of the row what the load generator knows."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
    row: Row
    detail: Detail


class Finished(_Words):
    """The cell is over; `whole`: all of it was sent."""

    client: Client
    warmup: Warmup
    whole: bool
    notes: list[str] = []


Told = Beat | Sample | Finished
_KINDS: Final[dict[str, TypeAdapter[Any]]] = {kind.__name__: TypeAdapter(kind) for kind in (Beat, Finished, Detail)}
_ROW: Final = frozenset(field.name for field in fields(Row))


def line_of(told: Told) -> bytes:
    """As it goes over the pipe."""
    if isinstance(told, Sample):
        return orjson.dumps(["Sample", told.row, told.detail]) + b"\n"
    return orjson.dumps([type(told).__name__, told.model_dump()]) + b"\n"


def told_in(line: bytes) -> Told:
    """The other way. Raises ValueError."""
    kind, *rest = orjson.loads(line)
    if kind == "Sample":
        row, detail = rest
        return Sample(row=Row(**{name: row[name] for name in _ROW}), detail=_KINDS["Detail"].validate_python(detail))
    told: Told = _KINDS[kind].validate_python(rest[0])
    return told
