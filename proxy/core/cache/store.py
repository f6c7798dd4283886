"""Entries within a budget of bytes: who is found, who has to go.

Owns the order of use, one per scope (a tenant, or all that share), the bytes of each and their bounds. What an entry
holds is none of its business; its size is told, and what the store itself takes for it is added. Least recently used
goes first, of the oldest few the largest; where the whole is full, a scope that holds most gives way, so that no tenant
can push out the others. Times are monotonic seconds.
"""

from collections import OrderedDict
from itertools import islice
from typing import Any, Final

OVERHEAD_B: Final = 260
"""What one entry takes beside its value: the key, its place in the order, the entry and its two times. 220 where it is
compiled, 300 where it is not."""
_CANDIDATES: Final = 8
"""So many of the oldest are compared by size."""
_JITTER: Final = 0.1
"""By up to this share entries live shorter than the ttl, each by its own: what was stored together is not asked anew
together."""
_LEVELS: Final = 64


class Entry:
    """One kept answer."""

    __slots__ = ("expires", "key", "made", "shelf", "size_b", "value")

    def __init__(self, key: bytes, value: Any, size_b: int, made: float, expires: float, shelf: "Shelf") -> None:
        self.key = key
        self.value = value
        self.size_b = size_b
        self.made = made
        self.expires = expires
        self.shelf = shelf

    def age_s(self, now: float) -> float:
        """Since its answer was made; never below 0."""
        return max(0.0, now - self.made)


class Shelf:
    """The entries of one scope, the longest unused first."""

    __slots__ = ("entries", "level", "scope", "used_b")

    def __init__(self, scope: bytes) -> None:
        self.scope = scope
        self.entries: OrderedDict[bytes, Entry] = OrderedDict()
        self.used_b = 0
        self.level = 0
        """Number of binary digits of `used_b`: who holds most is found by it, within a factor of two."""

    def first_to_go(self) -> Entry:
        """Of the longest unused the largest."""
        victim: Entry | None = None
        for entry in islice(self.entries.values(), _CANDIDATES):
            if victim is None or entry.size_b > victim.size_b:
                victim = entry
        assert victim is not None
        return victim


class Store:
    """`size_b` bytes at most, of which one scope has at most `share` and one entry at most `entry_b`."""

    __slots__ = (
        "_by_level",
        "_entry_b",
        "_share_b",
        "_shelves",
        "_size_b",
        "count",
        "evicted",
        "expired",
        "stored",
        "too_large",
        "used_b",
    )

    def __init__(self, size_b: int, entry_b: int, share: float = 1.0) -> None:
        self._size_b = size_b
        self._share_b = int(size_b * share)
        self._entry_b = min(entry_b, self._share_b)
        self._shelves: dict[bytes, Shelf] = {}
        self._by_level: list[OrderedDict[bytes, Shelf]] = [OrderedDict() for _ in range(_LEVELS)]
        self.used_b = 0
        self.count = 0
        """Entries that are there now. The others are counted since the start."""
        self.stored = 0
        self.evicted = 0
        """For want of room."""
        self.expired = 0
        """Found too old."""
        self.too_large = 0
        """Not stored, being over the bound of one entry."""

    def resize(self, size_b: int, entry_b: int, share: float = 1.0) -> None:
        """Other bounds; what is above them goes now. An entry that is larger than one may be now stays until it has to
        make room."""
        self._size_b = size_b
        self._share_b = int(size_b * share)
        self._entry_b = min(entry_b, self._share_b)
        for shelf in list(self._shelves.values()):
            self._make_room(shelf)

    @property
    def scopes(self) -> int:
        """How many have entries."""
        return len(self._shelves)

    def get(self, scope: bytes, key: bytes, now: float) -> Entry | None:
        """The entry, which is then the last used of its scope; None: there is none, or it is too old."""
        shelf = self._shelves.get(scope)
        if shelf is None:
            return None
        entry = shelf.entries.get(key)
        if entry is None:
            return None
        if now >= entry.expires:
            self.expired += 1
            self._remove(entry)
            return None
        shelf.entries.move_to_end(key)
        return entry

    def put(self, scope: bytes, key: bytes, value: Any, value_b: int, now: float, ttl_s: float) -> Entry | None:
        """Keep it for `ttl_s` seconds, instead of one that had the key; None where it is too large to be kept, or has
        no time to live."""
        size_b = value_b + OVERHEAD_B
        if size_b > self._entry_b or ttl_s <= 0.0:
            self.too_large += size_b > self._entry_b
            return None
        shelf = self._shelves.get(scope)
        if shelf is None:
            shelf = self._shelves[scope] = Shelf(scope)
        elif (before := shelf.entries.get(key)) is not None:
            self._remove(before)
            self._shelves[scope] = shelf
        expires = now + ttl_s * (1.0 - _JITTER * key[0] / 256)
        entry = shelf.entries[key] = Entry(key, value, size_b, now, expires, shelf)
        self.stored += 1
        self.count += 1
        self._weigh(shelf, size_b)
        self._make_room(shelf)
        return entry

    def entries(self) -> list[Entry]:
        """All, those that are too old too; the longest unused of each scope first."""
        return [entry for shelf in self._shelves.values() for entry in shelf.entries.values()]

    def clear(self) -> None:
        """Nothing is kept any more."""
        self._shelves.clear()
        for level in self._by_level:
            level.clear()
        self.used_b = self.count = 0

    # --- inside

    def _make_room(self, shelf: Shelf) -> None:
        while shelf.used_b > self._share_b:
            self._evict(shelf)
        while self.used_b > self._size_b:
            self._evict(self._fullest())

    def _evict(self, shelf: Shelf) -> None:
        self.evicted += 1
        self._remove(shelf.first_to_go())

    def _fullest(self) -> Shelf:
        for shelves in reversed(self._by_level):
            if shelves:
                return next(iter(shelves.values()))
        raise KeyError("nothing is kept")

    def _remove(self, entry: Entry) -> None:
        shelf = entry.shelf
        del shelf.entries[entry.key]
        self.count -= 1
        self._weigh(shelf, -entry.size_b)
        if not shelf.entries:
            self._shelves.pop(shelf.scope, None)

    def _weigh(self, shelf: Shelf, bytes_: int) -> None:
        """It holds so much more."""
        self.used_b += bytes_
        shelf.used_b += bytes_
        level = shelf.used_b.bit_length()
        if level == shelf.level:
            return
        self._by_level[shelf.level].pop(shelf.scope, None)
        if level:
            self._by_level[level][shelf.scope] = shelf
        shelf.level = level
