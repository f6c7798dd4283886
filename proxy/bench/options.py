"""What a run was asked for, as values. The command line is read elsewhere."""

from dataclasses import dataclass, field
from pathlib import Path

from proxy.bench.details import Side
from proxy.bench.run_file import Arrivals, CacheState
from proxy.bench.sweep import Axis


@dataclass(frozen=True, slots=True)
class Options:
    """One command."""

    argv: tuple[str, ...]
    urls: dict[Side, str]
    workload: tuple[str, ...]
    loads: tuple[Arrivals, ...]
    out: Path
    seeds: tuple[int, ...] = (0,)
    requests: int | None = None
    duration_s: float | None = None
    warmup: int | None = None
    """None: as many requests as the loop has clients, 8 in an open one."""
    cancel: float = 0.0
    timeout_s: float = 300.0
    caches: tuple[CacheState, ...] = ("as found",)
    axes: tuple[Axis, ...] = ()
    model: str = ""
    admin: str | None = None
    admin_headers: dict[str, str] = field(default_factory=dict)
    headers: dict[Side, dict[str, str]] = field(default_factory=dict)
    """Of all requests to a target, its key too."""
    insecure: bool = False
    names: dict[Side, str] = field(default_factory=dict)
    """What rows call the servers; those that are not here say it themselves."""
    hardware: str = ""
    precision: str = ""
    ignores_end: bool = False
    keeps_text: bool = False
    asks_stages: bool = True
    tokenizer: str = ""
    probe: bool = True
    aa: int | None = None
    """Pairs of the A/A check; None: a quarter of the requests, 30 to 200; 0: none."""
    resume: bool = False

    @property
    def is_paired(self) -> bool:
        """Two targets."""
        return len(self.urls) > 1

    def folder(self, state: CacheState) -> Path:
        """Of the run with that state of caches."""
        return self.out / state if len(self.caches) > 1 else self.out
