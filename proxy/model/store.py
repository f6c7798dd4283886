"""Where files and batches are kept, or who keeps them, and how much of them there may be."""

from dataclasses import dataclass
from typing import Annotated

from proxy.model.bounds import Bounds, Count, Duration, Size
from proxy.model.units import MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """`/v1/files` and `/v1/batches`, which are kept on a disk of this machine."""

    path: Annotated[str, Bounds(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")] | None = None
    """Folder of its own for files, batches and results, which is made where there is none. One proxy at a time."""
    url: Annotated[str, Bounds(max_length=2048, pattern=r"^https?://[^\s/]+$")] | None = None
    """Address of the proxy that has the folder, without a path: who asks here is told to ask there."""
    size: Size = 20 * 1024 * MIB
    """Files and results together: above it no file is taken (507), and batches pause."""
    file: Size = 512 * MIB
    """One file; larger ones are refused (413)."""
    line: Size = 8 * MIB
    """One line of a batch."""
    lines: Annotated[int, Bounds(ge=1, le=1_000_000)] = 50_000
    """Lines of one batch."""
    files: Count = 1000
    """Files of one tenant."""
    batches: Count = 100
    """Batches of one tenant that have not ended."""
    keep: Duration = 30 * 86400.0
    """Files and batches that ended are removed after so long; a file's own `expires_after` goes before."""
    attempts: Annotated[int, Bounds(ge=1, le=10)] = 3
    """How often an engine may fail at a line before the line has failed. What no engine has begun does not count."""
    ahead: Annotated[int, Bounds(ge=1, le=10_000)] = 64
    """Lines that wait for a place on an engine at once; all others stay on the disk."""
