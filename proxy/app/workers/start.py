"""What a worker is told when it starts: by its parent, through `control`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.config.loader import Loaded
from proxy.live.workers.hub import JOB_BITS

# words of the parent
START = "start"
"""A `Start`; with it the listening sockets of clients and of the admin port."""
LINK = "link"
"""With it one end of a connection between a worker and the decider; to the decider: of which worker."""
STOP = "stop"
"""Everybody drains."""
HURRY = "hurry"
RELOAD = "reload"
REOPEN = "reopen"
# words of a worker
READY = "ready"
"""Clients can come."""
CONFIG = "config"
"""What was read last and is right: whoever replaces the decider starts with it, whatever the file says by then."""
UNLINKED = "unlinked"
"""Its link to the decider is broken, or never was: another one is wanted."""
SAYS = "says"
"""For systemd's status line."""


class Start(NamedTuple):
    """One worker."""

    number: int
    """From 1, which decides."""
    workers: int
    serial: int
    """Of the process: no two of one parent have the same."""
    loaded: Loaded
    source: str
    overrides: Mapping[str, Any] | None
    warnings: tuple[str, ...]

    @property
    def first_job(self) -> int:
        """Ids of jobs are nobody else's."""
        return (self.serial << JOB_BITS) + 1
