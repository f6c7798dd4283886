"""One choice: which backend gets this job now, if any, and why not.

Owns the order of the filters (open, labels, able, better not tried yet, a permit left), whose turn it is where backends
have an order, slow start, and how admission and policy are put together; the taste is the policy's, the limits are
those of `limits`.
"""

from collections.abc import Sequence
from copy import deepcopy
from math import inf
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates, by_order
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.fleet import Fleet
from proxy.core.rng import NoChance, Rng
from proxy.core.route.forecasting import foresee
from proxy.core.route.limits import clears_in_s, judge, large_with_time
from proxy.core.route.policies import POLICIES
from proxy.model.commands import Reason
from proxy.model.scheduling import SchedulingSettings

SAMPLED: Final = 24
"""Candidates looked at; of more, a sample of about so many."""
_LOT: Final = 64
_HOLDERS: Final = 8
_LEAST_LOADED: Final = 12
_RANDOM: Final = 4


class Router:
    """Applies one policy within the limits."""

    def __init__(self, fleet: Fleet, settings: SchedulingSettings, rng: Rng) -> None:
        self._fleet = fleet
        self._rng = rng
        self.policy_name = ""
        self.configure(settings)
        self._counts = True

    def configure(self, settings: SchedulingSettings) -> None:
        """Another policy, or otherwise within which limits. Raises KeyError, and changes nothing, for no policy."""
        name, admission = settings.policy, settings.admission
        kind = POLICIES[name]
        if name != self.policy_name:
            self._policy = kind.make()
        self._settings = settings
        self.policy_name = name
        self.mode = admission.mode or ("auto" if kind.admits else "off")
        self.judges = self.mode != "off"
        self._foresees = kind.foresees or self.judges
        self._explore = settings.explore if kind.admits else 0.0
        self._probes = admission.probes
        self._min_samples = admission.min_samples

    def pick(self, candidates: Candidates, demand: Demand, avoid: frozenset[Backend]) -> Backend | None:
        """A backend that has room for the job; None when it has to wait or to be refused (`demand.reason`).

        The chosen backend's forecast is that of this job."""
        free = self.free(candidates, demand, avoid)
        demand.reason = None
        demand.fitted = False
        demand.looked = free
        if not free:
            return None
        if candidates.ordered:
            chosen = self._in_turn(candidates, free, demand)
        else:
            if len(free) > 1 and self._fleet.ramping:
                free = self._thin(free, demand.now)
            chosen = self._choose(candidates, free, demand)
        if chosen is not None and not self._foresees:
            foresee(chosen, demand)
        return chosen

    def rehearsal(self) -> "Router":
        """The same router without chance, whose choices leave no trace."""
        copy = Router(self._fleet, self._settings, NoChance())
        copy._policy = deepcopy(self._policy)
        copy._explore = copy._probes = 0.0
        copy._counts = False
        return copy

    def place(
        self, backend: Backend, candidates: Candidates, demand: Demand, avoid: frozenset[Backend]
    ) -> Backend | None:
        """Where a held job may go now that something cleared on this one of its candidates: there, or, where backends
        have an order, to one whose turn it is rather."""
        if candidates.ordered:
            return self.pick(candidates, demand, avoid)
        return backend if self.fits(backend, candidates, demand, avoid) else None

    def fits(self, backend: Backend, candidates: Candidates, demand: Demand, avoid: frozenset[Backend]) -> bool:
        """Whether a held job may go to this one of its candidates now."""
        if not demand.has_room(backend) or not demand.job.require <= backend.labels_for(demand.job.model):
            return False
        if candidates.unlike and not self._may(backend, candidates, demand):
            return False
        if candidates.ordered and self._comes_later(backend, candidates, demand, avoid):
            return False
        if self.judges and demand.bulk:
            candidates.headroom.bind(demand, candidates.first)
        foresee(backend, demand)
        return not self.judges or judge(backend, demand) is None or not self.bars(backend, demand)

    def enforces(self, backend: Backend) -> bool:
        """Whether a limit broken there keeps a job away."""
        return self.mode == "enforce" or (self.mode == "auto" and backend.pool.trusted)

    def bars(self, backend: Backend, demand: Demand) -> bool:
        """Whether the limit that was just broken there keeps the job away. Four things need less proof: who is
        grossly late, and what refuses nobody: bulk that waits where it would be in the way of promises, a line of a
        batch that others would feel, and a large prompt that has time."""
        pool, reason = backend.pool, backend.forecast.reason
        if reason is Reason.YIELD:
            return True
        if self.mode != "auto" or pool.trusted:
            return self.enforces(backend)
        if large_with_time(backend, demand):
            return True
        if reason is Reason.TTFT:
            return pool.tells_late(backend.forecast.ttft, demand.ttft_left)
        return bool(demand.kept) and reason is not Reason.DEADLINE and pool.learning(self._min_samples)

    def enforces_somewhere(self, candidates: Candidates) -> bool:
        """Whether anybody may be refused for time."""
        return self.judges and any(self.enforces(b) for b in candidates.open[:SAMPLED])

    def free(self, candidates: Candidates, demand: Demand, avoid: frozenset[Backend]) -> list[Backend]:
        """Those that could take it as far as permits, labels and abilities go."""
        usable = self._usable(candidates, demand)
        few = len(usable) <= SAMPLED or candidates.ordered
        if candidates.unlike and few:
            usable = ablest(usable, demand)
        if avoid and not avoid.issuperset(usable):
            usable = tuple(b for b in usable if b not in avoid)
        if few or len(usable) <= SAMPLED:
            return [b for b in usable if demand.has_room(b)]
        looked = self._sample(usable, demand)
        if candidates.unlike:
            looked = [b for b in looked if is_able(b, demand)] or list(ablest(usable, demand)[:SAMPLED])
        return [b for b in looked if demand.has_room(b)]

    def may_come_free(self, candidates: Candidates, demand: Demand, avoid: frozenset[Backend], *, able: bool) -> bool:
        """Whether a place may come free that the job could have: on a backend that takes requests, and is `able` to
        serve it or as good as any."""
        usable = self._usable(candidates, demand)
        if able:
            return any(b not in avoid and is_able(b, demand) for b in usable)
        return any(b not in avoid for b in (ablest(usable, demand) if candidates.unlike else usable))

    def _usable(self, candidates: Candidates, demand: Demand) -> tuple[Backend, ...]:
        """Those that are open and have its labels."""
        require, model = demand.job.require, demand.job.model
        return tuple(b for b in candidates.open if require <= b.labels_for(model)) if require else candidates.open

    def _may(self, backend: Backend, candidates: Candidates, demand: Demand) -> bool:
        """Whether it can serve the job, or nobody can rather."""
        return is_able(backend, demand) or backend in ablest(self._usable(candidates, demand), demand)

    def retry_after_s(self, demand: Demand) -> float:
        """Until the cheapest limit clears, by what the last `pick` saw."""
        return min([clears_in_s(b, demand) for b in demand.looked], default=0.0)

    def _in_turn(self, candidates: Candidates, free: list[Backend], demand: Demand) -> Backend | None:
        """The choice among those of the lowest order, or the next where none of them can take it, and so on."""
        looked: list[Backend] = []
        for some in by_order(free):
            if len(some) > SAMPLED:
                some = self._sample(tuple(some), demand)
            if len(some) > 1 and self._fleet.ramping:
                some = self._thin(some, demand.now)
            chosen = self._choose(candidates, some, demand)
            if chosen is not None:
                demand.reason, demand.looked = None, some
                return chosen
            looked += some
        demand.looked = looked
        demand.reason = _nearest(looked, demand).forecast.reason
        return None

    def _comes_later(self, backend: Backend, candidates: Candidates, demand: Demand, avoid: frozenset[Backend]) -> bool:
        """Whether one before it would take the job."""
        earlier = [b for b in self.free(candidates, demand, avoid) if b.spec.order < backend.spec.order]
        return bool(earlier) and self._in_turn(candidates, earlier, demand) is not None

    def _choose(self, candidates: Candidates, free: list[Backend], demand: Demand) -> Backend | None:
        if self.judges and demand.bulk:
            candidates.headroom.bind(demand, candidates.first)
        plain = [b for b in free if not b.speculative] if demand.job.constrained else free
        if self._foresees:
            if demand.chain and demand.depths is None:
                demand.depths = self._fleet.prefixes.depths(demand.chain)
            for backend in free:
                foresee(backend, demand)
        if not self.judges:
            return self._preferred(plain or free, demand)
        chosen = self._fitting(plain, demand)
        if chosen is None and len(plain) < len(free):
            chosen = self._fitting([b for b in free if b.speculative], demand)
        return chosen or self._unfitting(free, demand)

    def _fitting(self, some: list[Backend], demand: Demand) -> Backend | None:
        """One that breaks no limit."""
        if not some:
            return None
        if not demand.bulk:
            chosen = self._preferred(some, demand)
            if judge(chosen, demand) is None:
                return chosen
        fitting = [b for b in some if judge(b, demand) is None]
        demand.fitted = True
        return self._preferred(fitting, demand) if fitting else None

    def _unfitting(self, free: list[Backend], demand: Demand) -> Backend | None:
        """Nobody fits: somebody whose limits do not count yet, a probe, or nobody."""
        demand.fitted = False
        lenient = [b for b in free if not self.bars(b, demand)]
        if lenient:
            chosen = self._preferred(lenient, demand)
            self._count_shadow(chosen)
            return chosen
        demand.reason = _nearest(free, demand).forecast.reason
        return None

    def asked(
        self, candidates: Candidates, demand: Demand, chosen: Backend | None, usable: tuple[Backend, ...]
    ) -> None:
        """A job came, for which `chosen` was picked among `usable`; None: it waits."""
        home = candidates.headroom.home(demand, usable)
        if chosen is None:
            foresee(home, demand)
        candidates.headroom.asked(demand, chosen or home)

    def probe(self, candidates: Candidates, demand: Demand) -> Backend | None:
        """Now and then, somebody for a job that is about to be refused, to learn whether that is right."""
        if demand.bulk or not self._probes or self._rng.random() >= self._probes:
            return None
        free = self.free(candidates, demand, frozenset())
        if candidates.ordered and free:
            free = by_order(free)[0]
        for backend in free:
            foresee(backend, demand)
        return self._preferred(free, demand) if free else None

    def _preferred(self, some: list[Backend], demand: Demand) -> Backend:
        if len(some) == 1:
            return some[0]
        if self._explore and not demand.bulk and demand.session is None and self._rng.random() < self._explore:
            return some[self._rng.randrange(len(some))]
        return self._policy(some, demand, self._rng)

    def _count_shadow(self, chosen: Backend) -> None:
        reason = chosen.forecast.reason
        if reason is not None and self._counts:
            shadow = chosen.pool.shadow
            shadow[reason] = shadow.get(reason, 0) + 1

    def _thin(self, free: list[Backend], now: float) -> list[Backend]:
        """Slow start for every policy: a backend is looked at as often as its share says."""
        self._fleet.refresh_shares(now)
        seen = [b for b in free if b.share >= 1.0 or self._rng.random() < b.share]
        return seen or free

    def _sample(self, usable: tuple[Backend, ...], demand: Demand) -> list[Backend]:
        """Holders of the prefix, the least loaded (of many: of a random lot), a few random ones, and an idle one if
        there is any; each once, in the order of the configuration."""
        count, rng = len(usable), self._rng
        chosen = set(self._fleet.holders(demand.chain, _HOLDERS, usable)) if demand.chain else set()
        lot: Sequence[Backend] = usable
        if count > _LOT:  # one draw: each is as likely as any, none is twice in it
            first, step = rng.randrange(count), count // _LOT
            lot = [usable[(first + number * step) % count] for number in range(_LOT)]
        chosen.update(sorted(lot, key=_in_flight)[:_LEAST_LOADED])
        for _ in range(_RANDOM):
            chosen.add(usable[rng.randrange(count)])
        if all(b.in_flight for b in chosen):
            idle = next((b for b in usable if not b.in_flight), None)
            if idle is not None:
                chosen.add(idle)
        return sorted(chosen, key=_index)


def _nearest(some: list[Backend], demand: Demand) -> Backend:
    """The one whose limit gives way first, of those just judged."""
    nearest, least_s = some[0], inf
    for backend in some:
        clears_s = clears_in_s(backend, demand)
        if clears_s < least_s:
            nearest, least_s = backend, clears_s
    return nearest


def is_able(backend: Backend, demand: Demand) -> bool:
    """Whether it can do what the job needs and has room for it, as far as anybody knows."""
    job, abilities = demand.job, backend.abilities
    if not abilities.known:
        return True
    name = backend.listed_name(job.model)
    room = abilities.room(job, name, demand.now)
    return (
        demand.too_short < room
        and abilities.wanted(job, demand.longest or demand.prompt) <= room
        and abilities.does(job, name, demand.now)
    )


def ablest(some: tuple[Backend, ...], demand: Demand) -> tuple[Backend, ...]:
    """Those of `some` that are able; where nobody is, those with the most room, if they can do the rest."""
    able = tuple(b for b in some if is_able(b, demand))
    if able or not some:
        return able
    job, now = demand.job, demand.now
    doing = [b for b in some if b.abilities.does(job, b.listed_name(job.model), now)] or some
    rooms = [b.abilities.room(job, b.listed_name(job.model), now) for b in doing]
    most = max(rooms)
    return tuple(b for b, room in zip(doing, rooms, strict=True) if room == most)


def _in_flight(backend: Backend) -> int:
    return backend.in_flight


def _index(backend: Backend) -> int:
    return backend.index
