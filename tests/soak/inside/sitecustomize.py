"""Runs inside a proxy that is soaked, before anything else: a thread that tells what is in use whenever it is asked.

Owns two named pipes in the folder `TIDEGATE_WITNESS`. Imports nothing of the product and touches nothing of it.
"""

import ctypes
import os
import sys
import threading


class _Malloc(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33."""

    _fields_ = [(f"unused{number}", ctypes.c_size_t) for number in range(4)]
    _fields_ += [("mapped_b", ctypes.c_size_t), ("unused4", ctypes.c_size_t), ("unused5", ctypes.c_size_t)]
    _fields_ += [("used_b", ctypes.c_size_t), ("free_b", ctypes.c_size_t), ("top_b", ctypes.c_size_t)]


def _answer(folder: str) -> None:
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Malloc
    while True:
        with open(f"{folder}/ask") as asked:
            asked.read()
        found = mallinfo()
        with open(f"{folder}/told", "w") as told:
            told.write(f"{sys.getallocatedblocks()} {found.used_b + found.mapped_b}")


if "TIDEGATE_WITNESS" in os.environ:
    threading.Thread(target=_answer, args=(os.environ["TIDEGATE_WITNESS"],), daemon=True).start()
