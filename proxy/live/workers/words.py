"""First words of the messages between a worker and the decider; what follows each one."""

from typing import Final

# the worker's
HELLO: Final = 1
"""Version of the program, number of the worker, serial of the process."""
SUBMIT: Final = 2
"""A job."""
REPORT: Final = 3
"""A report on an attempt; tokens metered of its job so far, None: not counted."""
ENDED: Final = 4
"""The same as the last of these jobs: their ids."""
LEFT: Final = 5
"""The client of a job left, or what was adopted is over: its id, tokens metered."""
ADOPT: Final = 6
"""A job that is out already, and its backend."""
FLOWED: Final = 7
"""Backend, seconds of streams, tokens."""
SILENT: Final = 8
"""Whether an attempt is to be given up: its id, silent seconds, backends that could go on (None: none can), its
seconds per token."""
ASLEEP: Final = 9
"""Whether an attempt is to be taken back: its id."""
RECORD: Final = 10
"""A request is over."""
# the decider's
CONFIG: Final = 20
"""Configuration, pickled."""
COMMAND: Final = 21
"""A command; what its tenant may still use, pickled, or None: it has no limits."""
YES: Final = 22
"""To what was asked of an attempt: its id, the word of the question."""
REJECTED: Final = 23
"""Why this worker cannot be one."""
