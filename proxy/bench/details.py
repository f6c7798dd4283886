"""What a benchmark knows of a request beside its row: `details.jsonl`, line N is of row N of the CSV.

Owns that file. Texts are in it only where the run was told to keep them; digests are SHA-256, shortened.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, Self

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from proxy.bench.percentiles import rank

FILE: Final = "details.jsonl"
"""Its name in the folder of a run."""
Outcome = Literal["served", "invalid", "refused", "failed", "broken", "cancelled"]
"""`invalid`: complete, but not in the form that was asked for (JSON of a schema); `refused`: 429 or 503 before a byte;
`failed`: any other error before the first token; `broken`: after it; `cancelled`: by the load itself, as planned."""
TokenSource = Literal["usage", "tokenizer", "events", "none"]
"""Who counted the tokens of the answer: the server, a tokenizer here, or one event was taken for one token."""
Side = Literal["url", "direct"]
"""Which target of a paired run; `url` where there is one."""
_STRICT: Final = ConfigDict(extra="forbid")


class BadDetailsError(Exception):
    """A file that holds no details; the message begins with file and line."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Between the moments at which text of a stream came, milliseconds."""

    count: int
    mean_ms: float
    p50_ms: float
    p99_ms: float
    max_ms: float


@checked(frozen=True, slots=True, config=_STRICT)
class Detail:
    """One request. Moments are Unix seconds."""

    cell: str
    """Which cell of the sweep: its `id` in `run.json`."""
    index: int
    """Of the request in its cell, in the order of the plan; equal on both sides of a pair."""
    workload: str
    digest: str
    """Of the bytes of its body, and its path; the same plan, the same digest."""
    intended_at: float
    sent_at: float
    outcome: Outcome
    status: int | None = None
    """Of HTTP; None: no answer came."""
    error: str = ""
    """In a few words: of the answer, or of the connection."""
    side: Side = "url"
    request_id: str = ""
    """As the answer calls it."""
    backend: str = ""
    """As a proxy says."""
    stages_ms: dict[str, float] = field(default_factory=dict)
    """By name: those that the proxy tells (`Server-Timing`, and of a stream what it says when it is over), and those of
    the load itself (`retrieval`, `rerank`, `prompt_assembly`, `post_process`). Empty: nothing is known."""
    answer_cache: str = ""
    """`hit`, `miss` and the like, as the proxy says."""
    cached_prompt_tokens: int | None = None
    """Found in the engine's prefix cache, as `usage` says."""
    batch_size: int | None = None
    """Requests in one call to the engine, as the proxy says."""
    waited_ms: float | None = None
    """For others to go with, as the proxy says."""
    tokens_source: TokenSource = "none"
    gaps: Gaps | None = None
    """None: less than two pieces of text, or no stream."""
    text_digest: str = ""
    """Of the text of the answer; empty: there is none."""
    text_chars: int = 0
    text: str | None = None
    """None unless the run keeps texts."""


_READ: Final = TypeAdapter(Detail)


def digest_of(*parts: bytes) -> str:
    """16 hexadecimal digits."""
    whole = sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8))
        whole.update(part)
    return whole.hexdigest()[:16]


def gaps_of(moments: Sequence[float]) -> Gaps | None:
    """Of moments in seconds, in order."""
    if len(moments) < 2:
        return None
    gaps = sorted((later - sooner) * 1e3 for sooner, later in pairwise(moments))
    p50, p99 = (gaps[rank(len(gaps), share) - 1] for share in (0.5, 0.99))
    return Gaps(len(gaps), round(sum(gaps) / len(gaps), 3), round(p50, 3), round(p99, 3), round(gaps[-1], 3))


class DetailWriter:
    """Appends to a file, a line at a time. Raises OSError, such as for a full disk."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def write(self, detail: Detail) -> None:
        """One line, out of this process before it returns."""
        self._file.write(orjson.dumps(detail) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """No more lines."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_details(path: Path) -> list[Detail]:
    """All lines, in order. A last line that was cut short, as by a kill, is left out. Raises BadDetailsError."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadDetailsError(f"{path}: {error.strerror or error}") from None
    lines.pop()  # behind the last line's end: nothing, or what was cut short
    return [_read(f"{path}:{number}", line) for number, line in enumerate(lines, start=1)]


def _read(where: str, line: bytes) -> Detail:
    try:
        return _READ.validate_json(line)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadDetailsError(f"{where}: {name + ': ' if name else ''}{first['msg']}") from None
