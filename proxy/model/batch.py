"""Files that clients leave here, and batches of requests in them: plain values. Times are seconds since 1970."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple


class BatchState(StrEnum):
    """As OpenAI's batches have them."""

    VALIDATING = "validating"
    FAILED = "failed"
    """Its input was no batch; no line was run."""
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    """All lines have their result; the files are being written."""
    COMPLETED = "completed"
    EXPIRED = "expired"
    """Its window was over first; what was done is kept."""
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({BatchState.FAILED, BatchState.COMPLETED, BatchState.EXPIRED, BatchState.CANCELLED})
"""States that nothing follows."""
WINDOWS_S: Final = {"m": 60, "h": 3600, "d": 86400}
"""Units of a `completion_window`."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose something is."""

    whose: bytes
    """Digest that nobody else has; empty: of everybody who shows no key."""
    tenant: str = ""
    """What accounts and quotas call him."""
    is_named: bool = False
    """The configuration names him; else that is the beginning of his key's digest."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file."""

    id: str
    purpose: str
    name: str
    size_b: int
    created: int
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a batch's input; `line` counts from 1, None: with all of it."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as it is known at one moment."""

    number: int
    """In its store."""
    id: str
    owner: Owner
    endpoint: str
    input_file: str
    window: str
    """As it was asked for, such as `24h`."""
    created: int
    expires: int
    state: BatchState = BatchState.VALIDATING
    model: str = ""
    metadata: dict[str, str] | None = None
    output_file: str = ""
    error_file: str = ""
    total: int = 0
    done: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    marks: dict[str, int] = field(default_factory=dict)
    """When it came into each state, by its name."""
    errors: tuple[Complaint, ...] = ()
    output_expires_s: int | None = None
    """How long its files are kept, where it says so."""

    @property
    def left(self) -> int:
        """Lines without a result."""
        return self.total - self.done - self.failed


class BatchLine(NamedTuple):
    """Where one request of a batch stands in its file."""

    head: bytes
    """Lines that begin alike have equal beginnings here."""
    line: int
    """From 1."""
    start_b: int
    size_b: int
    custom_id: str


class LineResult(NamedTuple):
    """What became of a line, ready to be written."""

    line: int
    is_good: bool
    record: bytes
    """Its line of the output or error file, without the newline."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


class BatchesView(NamedTuple):
    """All that there is, for metrics and people."""

    states: dict[str, int]
    """Batches in each state."""
    queued: int
    """Lines that wait on the disk."""
    running: int
    """Lines that are out: on engines, or in line for one."""
    done: int
    failed: int
    """Lines since the start."""
    retried: int
    prompt_tokens: int
    completion_tokens: int
    oldest_s: float
    """Age of the oldest batch that has not ended; 0: there is none."""
    files: int
    used_b: int
    size_b: int
    is_paused: bool
    """The disk, or the budget, is full."""
    eta_error: float | None
    """How far forecasts were off, as a share of the time that was left when they were made; None: not known yet."""
    batches: "tuple[BatchView, ...]" = ()


class BatchView(NamedTuple):
    """One that has not ended."""

    id: str
    tenant: str
    state: str
    endpoint: str
    model: str
    total: int
    done: int
    failed: int
    running: int
    left_s: float
    """Until its window is over."""
    eta_s: float | None
    """Until its last line has its result, by its pace; None: not known yet."""
