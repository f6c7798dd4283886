"""What a benchmark says of itself: `run.json` beside its rows, so that a number can be told with all that it hangs on.

Owns that file: it is written at the start, after each cell and at the end, whole each time.
"""

import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

FILE: Final = "run.json"
"""Its name in the folder of a run."""
FORMAT: Final = 1
CacheState = Literal["warm", "cold", "as found"]
"""`cold`: prompts that no cache has seen, or caches emptied before each cell; `warm`: each prompt was asked before the
measurement; `as found`: nothing was done about it."""


class BadRunFileError(Exception):
    """A file that is no `run.json`; the message begins with its name."""


class _Part(BaseModel):
    """A group of facts; one that nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Arrivals(_Part):
    """How requests were sent in a cell."""

    process: Literal["closed", "poisson", "gamma", "trace"]
    concurrency: int | None = None
    """Requests at once; closed loop only."""
    rate_per_s: float | None = None
    """Mean, as asked for; open loop only."""
    cv: float | None = None
    """Coefficient of variation of the pauses; `gamma` only."""
    speed: float | None = None
    """So many times as fast as recorded; `trace` only."""


class Batching(_Part):
    """The batching policy of a cell."""

    configured: dict[str, str] = {}
    """Option of the proxy → its value, such as `window.max_wait: 10ms`; empty: no proxy, or it does not say."""
    sizes: dict[str, int] = {}
    """As measured: requests in one call to the engine → how many requests went so."""
    waited_p50_ms: float | None = None
    waited_p99_ms: float | None = None
    """As measured: what requests waited for others, where the proxy says so."""
    engine_seats: dict[str, int] = {}
    """Backend → sequences it computes at once, where that is known."""


class Client(_Part):
    """The load generator of a cell, as it measured itself."""

    lag_p50_ms: float = 0.0
    lag_p99_ms: float = 0.0
    lag_max_ms: float = 0.0
    """How late its loop came to what was due."""
    late_p99_ms: float = 0.0
    """How late requests were sent; an open loop, and pauses."""
    cpu: float = 0.0
    """Share of a core that its process used."""
    events_per_s: float = 0.0
    """Events of streams that it took, mean over the cell."""
    bottleneck: bool = False
    why: str = ""
    """Why the load generator was, or may have been, the bottleneck; empty: it was not."""


class Interval(_Part):
    """A difference and the range that holds the true one in 95 of 100 cases."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0


class Comparison(_Part):
    """A paired run: `url` less `direct`, request by request; metric (`ttft_ms`, `e2e_ms`, `tpot_ms`) → difference."""

    cell: str
    statistic: Literal["mean", "median", "p95", "p99"]
    differences: dict[str, Interval]


class Warmup(_Part):
    """Before the measurement; in no row."""

    requests: int = 0
    failed: int = 0
    seconds: float = 0.0


class Cell(_Part):
    """One combination of a sweep."""

    id: str
    seed: int = 0
    arrivals: Arrivals
    settings: dict[str, str] = {}
    """What was swept of the proxy's configuration: option → value."""
    model: str = ""
    precision: str = ""
    planned: int | None = None
    """Requests, of each side; None: it goes by time."""
    duration_s: float | None = None
    """Seconds of measurement; None: it goes by number."""
    done: int = 0
    """Rows, of both sides."""
    outcomes: dict[str, int] = {}
    plan_digest: str = ""
    """Of all requests in their order, as far as they were sent: two runs of one seed have the same."""
    salt: str = ""
    """In front of every prompt, so that no cell warms another: in a cold run one that nobody has seen, else made of the
    cell's id; of a pair a word for each target behind it. Digests are without. Empty: prompts are as they are."""
    config_hash: str = ""
    """Of the proxy's configuration in this cell; empty: it is no proxy, or it does not say."""
    batching: Batching = Batching()
    client: Client = Client()
    warmup: Warmup = Warmup()
    tokens_sources: dict[str, int] = {}
    started: str = ""
    ended: str = ""
    """ISO 8601, UTC."""
    complete: bool = False
    notes: list[str] = []


class Machine(_Part):
    """Where the load generator ran; the targets too, if `targets_here`."""

    cpu: str = ""
    cores: int = 0
    governor: str = ""
    """Of the first core; empty: it has none."""
    memory_gb: float = 0.0
    system: str = ""
    load_average: float | None = None
    """Of the last minute, at the start: other work."""
    targets_here: bool = False


class Target(_Part):
    """What was measured."""

    url: str
    server: str = ""
    """As rows call it."""
    version: str = ""
    """Of the server, where it tells."""
    is_tidegate: bool = False
    engines: dict[str, dict[str, str]] = {}
    """Backend → what its engine says of itself: kind, version, precision, hardware."""


class RunFile(_Part):
    """All of it."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    argv: list[str]
    seed: int
    """The first, where there are several: cells have their own."""
    workload: str
    targets: dict[Literal["url", "direct"], Target]
    git: str = ""
    """Commit of the program's source, `+changes` behind it where there are some; empty: it is no clone."""
    config_hash: str = ""
    """Of the proxy's configuration at the start."""
    hardware: str = ""
    """As rows call it."""
    versions: dict[str, str] = {}
    machine: Machine = Machine()
    cache: CacheState = "as found"
    emptied_by: str = ""
    """How caches were emptied: `admin API`, `unseen prefixes`; empty: they were not."""
    cells: list[Cell] = []
    comparisons: list[Comparison] = []
    aa: list[Comparison] = []
    """A/A: `url` against itself, paired in the same way, rows in the folder `aa`; intervals should contain zero."""
    started: str = ""
    ended: str = ""
    complete: bool = False
    resumed: int = 0
    """How often it was gone on with."""
    notes: list[str] = []

    @property
    def tokens_sources(self) -> dict[str, int]:
        """Who counted output tokens → of how many requests."""
        sums: dict[str, int] = {}
        for cell in self.cells:
            for source, count in cell.tokens_sources.items():
                sums[source] = sums.get(source, 0) + count
        return sums

    def cell(self, identity: str) -> Cell | None:
        """The one of that id."""
        return next((cell for cell in self.cells if cell.id == identity), None)


def write_run_file(folder: Path, run: RunFile) -> None:
    """Whole, or as it was before. Raises OSError."""
    path = folder / FILE
    beside = path.with_suffix(".json.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(run.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_run_file(folder: Path) -> RunFile:
    """Of a folder. Raises BadRunFileError."""
    path = folder / FILE
    try:
        return RunFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadRunFileError(f"{path}: {error.strerror or error}") from None
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadRunFileError(f"{path}: {name + ': ' if name else ''}{first['msg']}") from None
