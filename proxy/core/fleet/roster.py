"""Which backends there are, and their pools: who comes, who leaves, and who is forgotten.

    configured ──not in another configuration──> leaving ──its last attempt ended──> forgotten
         ^─────────────configured again───────────┘

A name that belongs to another engine now is a backend that comes and one that leaves.

Owns their order and their numbers. A number is a backend's alone for as long as it is known (a bit of the prefix index,
the key of its timers); its place in the order is that in the configuration. Decides nothing about health or load.
"""

from collections.abc import Sequence

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.pool import Checks, Pool
from proxy.core.learn.prefix_index import PrefixIndex
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings


class Roster:
    """One per fleet."""

    __slots__ = ("_checks", "_numbered", "backends", "by_name", "leaving", "pools", "prefixes")

    def __init__(self, specs: Sequence[BackendSpec], health: HealthSettings, *, learns: bool) -> None:
        self.prefixes = PrefixIndex(len(specs))
        self._checks = Checks()
        self._numbered: list[Backend | None] = []
        self.backends: tuple[Backend, ...] = ()
        """Those that are configured, in order."""
        self.leaving: list[Backend] = []
        """Those that are not any more, and still have attempts out."""
        self.by_name: dict[str, Backend] = {}
        """Both; of two that share a name, the one that is configured."""
        self.pools: dict[str, Pool] = {}
        self.change(specs, health, learns=learns)

    def change(self, specs: Sequence[BackendSpec], health: HealthSettings, *, learns: bool) -> list[Backend]:
        """These are configured; returns those that were, and leave. Raises ValueError where two share a name."""
        check_names(specs)
        known = {backend.pool.name: backend.pool for backend in self.leaving} | self.pools
        self.pools.clear()
        for spec in specs:
            pool = self.pools[spec.pool] = known.get(spec.pool) or Pool(spec.pool, self._checks)
            known[spec.pool] = pool
            pool.backends = 0
        self.prefixes.resize(len(specs))
        before = self.backends
        self.backends = tuple([self._placed(spec, index, health, learns) for index, spec in enumerate(specs)])
        self.leaving[:] = [backend for backend in self.leaving if backend not in self.backends]
        gone = [backend for backend in before if backend not in self.backends]
        for backend in gone:
            backend.memberships = []
        self.leaving += gone
        for known_one in self._numbered:
            if known_one is not None:
                known_one.record.resize()
        return gone

    def numbered(self, number: int) -> Backend:
        """The backend of that number."""
        backend = self._numbered[number]
        assert backend is not None
        return backend

    def forget_idle(self) -> list[Backend]:
        """Those that left and have no attempt out are known no more."""
        idle = [backend for backend in self.leaving if not (backend.in_flight or backend.readers)]
        for backend in idle:
            self.leaving.remove(backend)
            self._unname(backend)
            self._numbered[backend.number] = None
            backend.record.wipe()
        return idle

    def _unname(self, backend: Backend) -> None:
        """Its name is nobody's, or that of another one who leaves."""
        if self.by_name.get(backend.name) is not backend:
            return
        del self.by_name[backend.name]
        for other in self.leaving:
            if other.name == backend.name:
                self.by_name[other.name] = other

    def _placed(self, spec: BackendSpec, index: int, health: HealthSettings, learns: bool) -> Backend:
        pool, backend = self.pools[spec.pool], self.by_name.get(spec.name)
        if backend is None or not backend.spec.is_same_engine(spec):
            number = self._free_number()
            record = self.prefixes.record(number)
            backend = Backend(spec, index, health, pool, record, number=number, learns=learns)
            self._numbered[number] = self.by_name[spec.name] = backend
        else:
            backend.configure(spec, health, pool, learns=learns)
            backend.index = index
        pool.backends += 1
        return backend

    def _free_number(self) -> int:
        for number, backend in enumerate(self._numbered):
            if backend is None:
                return number
        self._numbered.append(None)
        return len(self._numbered) - 1


def check_names(specs: Sequence[BackendSpec]) -> None:
    """Raises ValueError where two share a name."""
    if len({spec.name for spec in specs}) != len(specs):
        raise ValueError("two backends share a name")
