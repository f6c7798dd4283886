"""The KV memory of one engine: paged blocks, and the prefix cache that lives in the unused ones.

Owns the count of blocks and the LRU order of cached prefixes. Knows nothing of requests or time.

A *node* is one cached piece of a prompt (`blocks_per_node` blocks, named by its chained hash). It is in use while any
sequence refers to it; afterwards it stays, idle, until its blocks are wanted, the longest unused first and within one
prompt the tail first. Invariant: private blocks + blocks of all nodes ≤ total.
"""

from collections import OrderedDict
from collections.abc import Sequence


class KvPool:
    """Blocks: private to a sequence, in nodes in use, in idle nodes, or free."""

    def __init__(self, total_blocks: int, blocks_per_node: int = 1) -> None:
        self.total = total_blocks
        self.blocks_per_node = blocks_per_node
        self.private = 0
        self._references: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def used(self) -> int:
        """Blocks that cannot be taken away."""
        return self.private + len(self._references) * self.blocks_per_node

    @property
    def available(self) -> int:
        """Blocks that a sequence could get, idle nodes included."""
        return self.total - self.used

    @property
    def cached(self) -> int:
        """Blocks in idle nodes."""
        return len(self._idle) * self.blocks_per_node

    def match(self, hashes: Sequence[int], limit: int) -> tuple[int, int]:
        """How many leading hashes (at most `limit`) are cached, and how many idle blocks using them would occupy."""
        idle = found = 0
        for found, node in enumerate(hashes[:limit], start=1):
            if node in self._idle:
                idle += 1
            elif node not in self._references:
                found -= 1
                break
        return found, idle * self.blocks_per_node

    def acquire(self, hashes: Sequence[int]) -> None:
        """Refer to nodes that `match` found."""
        for node in hashes:
            if node in self._idle:
                del self._idle[node]
                self._references[node] = 1
            else:
                self._references[node] += 1

    def take(self, blocks: int) -> None:
        """Make blocks private, dropping idle nodes as needed; the caller has looked at `available`."""
        if not blocks:
            return
        self.private += blocks
        over = self.private + (len(self._references) + len(self._idle)) * self.blocks_per_node - self.total
        while over > 0:
            assert self._idle, "KV budget exceeded"
            self._idle.popitem(last=False)
            over -= self.blocks_per_node

    def give(self, blocks: int) -> None:
        """Private blocks become free."""
        self.private -= blocks
        assert self.private >= 0, "more private blocks given back than taken"

    def publish(self, hashes: Sequence[int]) -> None:
        """Private blocks become nodes in use; where another sequence was faster, ours are freed."""
        self.give(len(hashes) * self.blocks_per_node)
        references = self._references
        for node in hashes:
            if node in references:
                references[node] += 1
            else:
                self._idle.pop(node, None)
                references[node] = 1

    def release(self, hashes: Sequence[int]) -> None:
        """Refer to these nodes no longer."""
        for node in reversed(hashes):
            left = self._references[node] - 1
            if left:
                self._references[node] = left
            else:
                del self._references[node]
                self._idle[node] = None

    def forget(self) -> None:
        """Drop every idle node."""
        self._idle.clear()
