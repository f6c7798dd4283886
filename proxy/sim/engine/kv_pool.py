"""The KV memory of one engine: paged blocks, and the prefix cache that lives in the unused ones.

Owns the count of blocks and the LRU order of cached prefixes. Knows nothing of requests or time.

A *node* is one cached piece of a prompt (`blocks_per_node` blocks, named by its chained hash). It is in use while any
sequence refers to it; afterwards it stays, idle, until its blocks are wanted, the longest unused first and within one
prompt the tail first. Invariant: private blocks + blocks of all nodes ≤ total.
"""

from collections.abc import Hashable, Sequence

from proxy.core.learn.lru import Lru, Use


class KvPool:
    """Blocks: private to a sequence, in nodes in use, in idle nodes, or free."""

    def __init__(self, total_blocks: int, blocks_per_node: int = 1) -> None:
        self.total = total_blocks
        self.blocks_per_node = blocks_per_node
        self.private = 0
        self._idle = Lru()
        self._nodes = self._idle.last
        """Node → how many sequences refer to it, or its last use."""
        self._in_use = 0
        """Nodes that any refers to."""

    @property
    def used(self) -> int:
        """Blocks that cannot be taken away."""
        return self.private + self._in_use * self.blocks_per_node

    @property
    def available(self) -> int:
        """Blocks that a sequence could get, idle nodes included."""
        return self.total - self.used

    @property
    def cached(self) -> int:
        """Blocks in idle nodes."""
        return (len(self._nodes) - self._in_use) * self.blocks_per_node

    def match(self, hashes: Sequence[Hashable], limit: int) -> tuple[int, int]:
        """How many leading hashes (at most `limit`) are cached, and how many idle blocks using them would occupy."""
        nodes = self._nodes
        found = idle = 0
        for node in hashes[:limit]:
            known = nodes.get(node)
            if known is None:
                break
            found += 1
            if isinstance(known, Use):
                idle += 1
        return found, idle * self.blocks_per_node

    def acquire(self, hashes: Sequence[Hashable]) -> None:
        """Refer to nodes that `match` found."""
        nodes = self._nodes
        for node in hashes:
            known = nodes[node]
            if isinstance(known, Use):
                nodes[node] = 1
                self._in_use += 1
            else:
                nodes[node] = known + 1

    def take(self, blocks: int) -> None:
        """Make blocks private, dropping idle nodes as needed; the caller has looked at `available`."""
        if not blocks:
            return
        self.private += blocks
        over = self.private + len(self._nodes) * self.blocks_per_node - self.total
        while over > 0:
            assert len(self._nodes) > self._in_use, "KV budget exceeded"
            self._idle.pop()
            over -= self.blocks_per_node

    def give(self, blocks: int) -> None:
        """Private blocks become free."""
        self.private -= blocks
        assert self.private >= 0, "more private blocks given back than taken"

    def publish(self, hashes: Sequence[Hashable]) -> None:
        """Private blocks become nodes in use; where another sequence was faster, ours are freed."""
        self.give(len(hashes) * self.blocks_per_node)
        nodes = self._nodes
        for node in hashes:
            known = nodes.get(node)
            if known is None or isinstance(known, Use):
                nodes[node] = 1
                self._in_use += 1
            else:
                nodes[node] = known + 1

    def release(self, hashes: Sequence[Hashable]) -> None:
        """Refer to these nodes no longer."""
        nodes = self._nodes
        unused: list[Hashable] = []
        for node in hashes:
            known = nodes[node]
            assert not isinstance(known, Use), "nobody refers to it"
            if known > 1:
                nodes[node] = known - 1
            else:
                unused.append(node)
        self._in_use -= len(unused)
        self._idle.use(unused)

    def forget(self) -> None:
        """Drop every idle node."""
        while len(self._nodes) > self._in_use:
            self._idle.pop()
