"""Marks of clients that say where a cached prefix ends: `cache_control`, `prompt_cache_breakpoint`.

Owns what they mean for affinity. Clients move them along with the conversation and engines that know them leave them
out of the prompt, so they are no part of it; one that stands before the conversation is a border: what comes before it
is shared by all conversations, to its last byte. The request passes as it came.
"""

import re
from typing import Final

HINT: Final = b"cache_"
"""Stands in both names: what has it not has no mark."""
_VALUE: Final = rb'(?:\{[^{}]*\}|"[^"\\]*"|[a-z0-9.-]+)'
_NAME: Final = rb'"(?:cache_control|prompt_cache_breakpoint)":'
_MARK: Final = re.compile(b"," + _NAME + _VALUE + b"|" + _NAME + _VALUE + b",?")
_CONVERSATION: Final = re.compile(rb'"role":"(?:user|assistant|tool)"')


def unmarked(data: bytes) -> tuple[bytes, int]:
    """Compact JSON without its marks, and where the border is in it; 0: there is none."""
    talk = _CONVERSATION.search(data)
    until = len(data) if talk is None else talk.start()
    parts: list[bytes] = []
    done = size = border = 0
    for mark in _MARK.finditer(data):
        parts.append(data[done : mark.start()])
        size += len(parts[-1])
        done = mark.end()
        if mark.start() < until:
            border = size
    parts.append(data[done:])
    return b"".join(parts), border
