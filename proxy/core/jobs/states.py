"""The states of an open job and of an attempt: what may follow what stands in these two tables, and nowhere else.

Owns the states and the events. A step that has no place in its table is a bug, and is not taken.
"""

from typing import Final

# Jobs
OPEN: Final = 0
"""Somebody decides right now what becomes of it."""
HELD: Final = 1
"""It waits in a line."""
OUT: Final = 2
"""One attempt is out, or two."""
OVER: Final = 3
"""Served, refused, or its client left."""

SENT: Final = 0
"""An attempt went out."""
HOLDS: Final = 1
"""It got a place in line,"""
TAKEN: Final = 2
"""and lost it."""
RETURNED: Final = 3
"""The last of its attempts ended."""
CLOSED: Final = 4
"""It came to its one end."""

# Attempts
WAITING: Final = 0
"""Nothing has come of it yet."""
ANSWERING: Final = 1
ENDED: Final = 2
"""Its permit is given back."""

BEGAN: Final = 0
"""It has its first byte, or says again that it had."""
END: Final = 1

_NEVER: Final = -1

# fmt: off
_JOBS: Final[tuple[tuple[int, ...], ...]] = (
    # SENT   HOLDS   TAKEN   RETURNED CLOSED
    (OUT,    HELD,   _NEVER, _NEVER,  OVER),    # OPEN
    (OUT,    _NEVER, OPEN,   _NEVER,  _NEVER),  # HELD: sent from its place in line, which it then gives up
    (OUT,    _NEVER, OUT,    OPEN,    OVER),    # OUT: sent once more beside an attempt that is late
    (_NEVER, _NEVER, _NEVER, OVER,    _NEVER),  # OVER: when a client leaves, its attempts end after it
)
_ATTEMPTS: Final[tuple[tuple[int, ...], ...]] = (
    # BEGAN    END
    (ANSWERING, ENDED),   # WAITING
    (ANSWERING, ENDED),   # ANSWERING
    (_NEVER,    _NEVER),  # ENDED
)
# fmt: on


def job_after(state: int, event: int) -> int:
    """The state of a job that was in `state`."""
    after = _JOBS[state][event]
    assert after != _NEVER, f"a job in state {state} met event {event}"
    return after


def attempt_after(state: int, event: int) -> int:
    """The state of an attempt that was in `state`."""
    after = _ATTEMPTS[state][event]
    assert after != _NEVER, f"an attempt in state {state} met event {event}"
    return after
