"""Standard streams that were closed at the start (`>&-`), held open.

Whatever this process opens first would get their numbers: a client's connection as descriptor 1 would be sent the
access log. What is held cannot be written to: who writes there hears of it, as on a closed one.
"""

import os
import sys

_STANDARD = (0, 1, 2)


def hold() -> None:
    """Before anything else is opened."""
    for number in _STANDARD:
        if not _is_open(number):
            os.open(os.devnull, os.O_RDONLY)  # gets the lowest free number
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # as Python makes it: print into it is lost, and nothing else is possible
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
