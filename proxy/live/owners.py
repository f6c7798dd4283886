"""Who has what engines keep: id → backend and model, known to the tenant whose answer told it and to nobody else.

    memory ──not there──▶ of an earlier life (the state file) ──▶ the second level, which other proxies fill too

Owns the memory of it, within one budget of bytes, and what is told of it elsewhere. Everything is named by a digest of
tenant and id together: neither the state file nor the second level shows an id, or whose it is.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from proxy.core.cache.store import Entry, Store
from proxy.live.shared_owners import Owner, SharedOwners
from proxy.model.limits import StoredLimits
from proxy.model.stored import OwnersView

NAME_B: Final = 16
_OWNER_B: Final = 64
"""A pair of names that others hold too."""
_RECALLED: Final = b"recalled"
"""Who holds what an earlier life left, as long as nobody has asked for it: no tenant's digest."""
_TELL_AGAIN: Final = 0.125
"""Of its life in the second level: whoever is used after so much of it is told again, which also fills one that was
emptied."""


class Known(NamedTuple):
    """One that is known. Times: monotonic seconds."""

    name: bytes
    owner: Owner
    expires: float


def nobody() -> SharedOwners | None:
    """There is no second level."""
    return None


class Owners:
    """One per proxy; outlives its configurations. `second`: the second level of now."""

    def __init__(self, limits: StoredLimits, second: Callable[[], SharedOwners | None] = nobody) -> None:
        self._store = Store(limits.size, limits.size)
        self._keep_s = limits.keep
        self._second = second
        self.lookups: Counter[str] = Counter()

    def configure(self, limits: StoredLimits) -> None:
        """Other bounds; what is above them goes now."""
        self._store.resize(limits.size, limits.size)
        self._keep_s = limits.keep

    def __len__(self) -> int:
        """Ids that are known."""
        return self._store.count

    def view(self) -> OwnersView:
        """What is known, and how it was asked for."""
        second = self._second()
        told, dropped = (0, 0) if second is None else (second.told, second.dropped)
        return OwnersView(self._store.count, dict(self.lookups), told, dropped)

    def find(self, whose: bytes, named: str, now: float) -> Owner | None:
        """The backend and the model, as far as this proxy knows; None: it does not. Asked for, it is kept for
        longer."""
        name = name_of(whose, named)
        entry = self._store.get(whose, name, now)
        if entry is None:
            entry = self._store.get(_RECALLED, name, now)
            if entry is None:
                return None
            entry.expires = now
            self._store.get(_RECALLED, name, now)  # its place is the tenant's from now on
            found: Owner = entry.value
            self._store.put(whose, name, found, _OWNER_B, now, self._keep_s)
            return found
        entry.expires = now + self._keep_s
        owner: Owner = entry.value
        second = self._second()
        if second is not None and now - entry.made > self._keep_s * _TELL_AGAIN:
            entry.made = now
            second.tell(name, owner, self._keep_s)
        return owner

    async def sought(self, whose: bytes, named: str, now: float) -> Owner | None:
        """The same, asked of the second level too where this proxy does not know."""
        found = self.find(whose, named, now)
        if found is not None:
            self.lookups["memory"] += 1
            return found
        second = self._second()
        if second is None:
            self.lookups["nowhere"] += 1
            return None
        name = name_of(whose, named)
        said = await second.find(name)
        if isinstance(said, tuple):
            self.lookups["second_level"] += 1
            self._store.put(whose, name, said, _OWNER_B, now, self._keep_s)
            return said
        self.lookups["nowhere" if said is None else "unanswered"] += 1
        return None

    def learn(self, whose: bytes, named: str, backend: str, model: str, now: float) -> None:
        """That backend has it."""
        name, owner = name_of(whose, named), (backend, model)
        self._store.put(whose, name, owner, _OWNER_B, now, self._keep_s)
        second = self._second()
        if second is not None:
            second.tell(name, owner, self._keep_s)

    def forget(self, whose: bytes, named: str, now: float) -> None:
        """It was deleted."""
        name = name_of(whose, named)
        for scope in (whose, _RECALLED):
            entry = self._store.get(scope, name, now)
            if entry is not None:
                entry.expires = now
                self._store.get(scope, name, now)
        second = self._second()
        if second is not None:
            second.forget(name)

    # --- what outlives a restart

    def known(self) -> list[Entry]:
        """All, the longest unused of each tenant first: names and owners."""
        return self._store.entries()

    def recall(self, known: Iterable[Known], now: float) -> None:
        """What an earlier life knew, for as long as it would have."""
        for name, owner, expires in known:
            left_s = min(expires - now, self._keep_s)
            if left_s > 0:
                self._store.put(_RECALLED, name, owner, _OWNER_B, now, left_s)


def name_of(whose: bytes, named: str) -> bytes:
    """What an id of a tenant is called here, 16 bytes."""
    return sha256(b"%d:%b%b" % (len(whose), whose, named.encode("utf-8", "surrogatepass"))).digest()[:NAME_B]
