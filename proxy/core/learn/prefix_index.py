"""Which backend probably holds which prefix in its cache: our own record of what was sent where.

Owns one bounded record per backend and the index over all. A record holds block hashes only (any hashable thing: as
`int` each would be taken apart and made anew where this is compiled). It is right as long as
the engine keeps as much as we think; `learn` corrects that from what engines say they found.
"""

from collections.abc import Collection, Hashable, Sequence
from typing import Final

from proxy.core.learn.lru import Lru

TOTAL_BLOCKS: Final = 1 << 20
"""Blocks remembered of all backends together: about 200 bytes each."""
UNKNOWN_CAP: Final = 4096
"""Blocks remembered of a backend whose KV budget is not known."""
MIN_CAP: Final = 32
_SHORT: Final = 0.9
"""A hit below this share of what was predicted falls short."""
_ZERO_HITS: Final = 3
_MEMORY: Final = 0.02
_ANSWER_MEMORY: Final = 0.1
_MORE: Final = 1.1
"""What a backend is believed to hold grows by this when it had more."""
_MOST_BEYOND: Final = 64.0


class PrefixRecord:
    """What one backend holds: the blocks least recently used go first."""

    __slots__ = (
        "_actual",
        "_beyond",
        "_index",
        "_kv_tokens",
        "_most",
        "_predicted",
        "_recency",
        "_wanted",
        "_zeros",
        "answers",
        "cap",
        "mask",
    )

    def __init__(self, index: "PrefixIndex", number: int) -> None:
        self._index = index
        self.mask = 1 << number
        self._recency = Lru()
        self._wanted = TOTAL_BLOCKS
        """Blocks that its KV budget is worth."""
        self._most = index.most
        self.cap = min(UNKNOWN_CAP, index.most)
        """Blocks it is believed to hold."""
        self._kv_tokens: float | None = None
        self._actual = self._predicted = 1.0
        self._zeros = 0
        self._beyond = 1.0
        """It was seen to hold so many times more than its KV budget is worth: engines also keep prompts elsewhere."""
        self.answers = 0.0
        """Share of an answer that is there, too, when its conversation goes on."""

    @property
    def blocks(self) -> Collection[Hashable]:
        """What it holds."""
        return self._recency.last

    @property
    def trust(self) -> float:
        """Tokens found per token predicted."""
        return min(1.0, self._actual / self._predicted)

    def match(self, chain: Sequence[Hashable]) -> int:
        """How many leading blocks of `chain` it holds. A block is only held with those before it."""
        held = self._recency.last
        low, high = 0, len(chain)
        while low < high:
            middle = (low + high + 1) >> 1
            if chain[middle - 1] in held:
                low = middle
            else:
                high = middle - 1
        return low

    def fit(self, kv_tokens: float, block_tokens: int) -> None:
        """Its KV budget is known: it holds no more than that, and what it holds is corrected from there."""
        if kv_tokens != self._kv_tokens:
            self._kv_tokens = kv_tokens
            self._wanted = max(MIN_CAP, int(self._beyond * kv_tokens / block_tokens))
            self._most = self.cap = min(self._index.most, self._wanted)

    def resize(self) -> None:
        """More backends share the index, or fewer."""
        self._most = min(self._index.most, self._wanted)
        self.cap = min(self.cap, self._most)
        self._shrink_to(self.cap)

    def add(self, chain: Sequence[Hashable]) -> None:
        """This prompt was sent there. The tail is older than the head, as engines evict it first."""
        mask, holders = self.mask, self._index.holders
        for block in self._recency.use(chain[: self.cap]):
            holders[block] = holders.get(block, 0) | mask
        self._shrink_to(self.cap)

    def learn(self, predicted: float, actual: float) -> None:
        """Tokens that should have been found in the cache, and those that were."""
        if predicted <= 0:
            return
        self._predicted += _MEMORY * (predicted / 1000 - self._predicted)
        self._actual += _MEMORY * (min(actual, predicted) / 1000 - self._actual)
        short = actual < _SHORT * predicted
        self.cap = max(MIN_CAP, int(self.cap * 0.97)) if short else min(self._most, self.cap + 2)
        self._zeros = self._zeros + 1 if actual <= 0 else 0
        if self._zeros >= _ZERO_HITS:
            self.wipe()
        self._shrink_to(self.cap)

    def holds_more(self) -> None:
        """It had what was taken for evicted."""
        if self._beyond < _MOST_BEYOND:
            self._beyond *= _MORE
            self._wanted = int(self._wanted * _MORE) + 1
            self._most = min(self._index.most, self._wanted)
            self.cap = min(self._most, int(self.cap * _MORE) + 1)

    def learn_answer(self, share: float) -> None:
        """So much of an answer was found when its conversation went on."""
        self.answers += _ANSWER_MEMORY * (min(1.0, max(0.0, share)) - self.answers)

    def wipe(self) -> None:
        """The engine forgot everything."""
        self._zeros = 0
        self._shrink_to(0)

    def _shrink_to(self, cap: int) -> None:
        recency, holders, mask = self._recency, self._index.holders, self.mask
        while len(recency.last) > cap:
            block = recency.pop()
            left = holders[block] & ~mask
            if left:
                holders[block] = left
            else:
                del holders[block]


class PrefixIndex:
    """The records of all backends."""

    def __init__(self, backends: int) -> None:
        self.holders: dict[Hashable, int] = {}
        """Block → the backends that hold it, one bit each."""
        self.most = 0
        """Blocks remembered of one backend at most."""
        self.resize(backends)

    def resize(self, backends: int) -> None:
        """So many share it; their records are to be told."""
        self.most = max(MIN_CAP, TOTAL_BLOCKS // max(1, backends))

    def record(self, number: int) -> PrefixRecord:
        """A new record for the backend of that number."""
        return PrefixRecord(self, number)

    def depths(self, chain: Sequence[Hashable]) -> dict[int, int]:
        """Bit of a backend → how many leading blocks of `chain` it holds, for those that hold any."""
        holders, found, before = self.holders, {}, -1
        depth = 0
        for depth, block in enumerate(chain):
            here = holders.get(block, 0) & before
            left = before & ~here if depth else 0
            while left:
                bit = left & -left
                found[bit] = depth
                left ^= bit
            before = here
            if not here:
                return found
        while before > 0:
            bit = before & -before
            found[bit] = depth + 1
            before ^= bit
        return found

    def best_holders(self, chain: Sequence[Hashable]) -> int:
        """Bits of the backends that hold the most of `chain`; 0 when none holds its first block."""
        holders = self.holders
        low, high = 0, len(chain)
        while low < high:
            middle = (low + high + 1) >> 1
            if chain[middle - 1] in holders:
                low = middle
            else:
                high = middle - 1
        return holders[chain[low - 1]] if low else 0
