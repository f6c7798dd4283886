"""Which blocks of chains were used last: the longest unused goes first, and of one use the tail before the head.

Owns that order, kept per use of a chain and not per block: a block remembers its last use, and older uses it was part
of are void for it. Blocks are only named here, so they are any hashable thing.
"""

from collections import deque
from collections.abc import Hashable, Sequence
from typing import Final

_SPARE: Final = 256
"""Void blocks in the queue that are not worth a clean-up."""


class Use:
    """One use of a chain: blocks at `chain[:left]` may still have it as their last."""

    __slots__ = ("chain", "left")

    def __init__(self, chain: Sequence[Hashable]) -> None:
        self.chain = chain
        self.left = len(chain)


class Lru:
    """At most about twice as much is queued as there are blocks."""

    __slots__ = ("_queue", "last", "queued")

    def __init__(self) -> None:
        self.last: dict[Hashable, Use | int] = {}
        """Block → its last use. Whoever takes a block out, or puts a number there, takes it out of the order."""
        self._queue: deque[Use] = deque()
        """Oldest first."""
        self.queued = 0
        """Blocks of all uses in the queue, void ones included."""

    def use(self, chain: Sequence[Hashable]) -> list[Hashable]:
        """These blocks are used, the head as the last of them; those that are new."""
        last, use = self.last, Use(chain)
        new: list[Hashable] = []
        known = len(last)
        for block in chain:
            last[block] = use
            if len(last) > known:
                known += 1
                new.append(block)
        self._queue.append(use)
        self.queued += use.left
        if self.queued > 2 * known + _SPARE:
            self._clean_up()
        return new

    def pop(self) -> Hashable:
        """Forget the longest unused; KeyError when there is none."""
        last, queue = self.last, self._queue
        while queue:
            use = queue[0]
            while use.left:
                use.left -= 1
                self.queued -= 1
                block = use.chain[use.left]
                if last.get(block) is use:
                    del last[block]
                    return block
            queue.popleft()
        raise KeyError("nothing was used")

    def _clean_up(self) -> None:
        last = self.last
        queue: deque[Use] = deque()
        self.queued = 0
        for use in self._queue:
            chain = [block for block in use.chain[: use.left] if last.get(block) is use]
            if chain:
                use.chain, use.left = chain, len(chain)
                queue.append(use)
                self.queued += use.left
        self._queue = queue
