"""A port that answers no SYN: a listening socket whose backlog is full. Connecting to it takes for ever."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_FILLERS = 4
"""A backlog of 0 still takes one or two."""


@contextmanager
def deaf_listener() -> Iterator[int]:
    """Its port."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(_FILLERS):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
