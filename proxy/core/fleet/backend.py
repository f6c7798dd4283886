"""One backend as the scheduler knows it: permits, names served, health.

Owns the facts of one backend. Decides nothing across backends.
"""

from math import inf
from typing import TYPE_CHECKING, Final

from proxy.core.fleet.abilities import Abilities
from proxy.core.fleet.forecast import Forecast
from proxy.core.fleet.health import Health
from proxy.core.fleet.pool import Pool
from proxy.core.fleet.pressure import Pressure
from proxy.core.fleet.quota import Quota
from proxy.core.learn.batching import Batching
from proxy.core.learn.calls import Calls
from proxy.core.learn.concurrency import Concurrency
from proxy.core.learn.cost_model import CostModel
from proxy.core.learn.decode_rate import DecodeRate
from proxy.core.learn.leading import Leading
from proxy.core.learn.ledger import Ledger
from proxy.core.learn.model_loads import ModelLoads
from proxy.core.learn.prefix_index import PrefixIndex, PrefixRecord
from proxy.core.learn.seats import SeatWatch
from proxy.core.learn.sessions import Kept
from proxy.model.abilities import Traits
from proxy.model.backend import BackendSpec
from proxy.model.commands import Load
from proxy.model.engine_facts import UNKNOWN, EngineFacts, first_known, labels_of
from proxy.model.faults import Fault
from proxy.model.limits import HealthSettings
from proxy.model.model_name import canonical
from proxy.model.request import Job

if TYPE_CHECKING:
    from proxy.core.fleet.candidates import Candidates

_SMOOTHING: Final = 0.1
"""Weight of the newest service time."""


class Backend:
    """Mutable; changed only by the scheduler's parts. Compared by identity."""

    __slots__ = (
        "_asked",
        "_canonical",
        "_labels_of",
        "_listed",
        "_precisions",
        "abilities",
        "asleep",
        "batching",
        "busy",
        "calls",
        "concurrency",
        "facts",
        "flow",
        "forecast",
        "health",
        "in_flight",
        "index",
        "is_stranger",
        "kept",
        "known",
        "kv_tokens",
        "labels",
        "last_load",
        "leading",
        "ledger",
        "limit",
        "loads",
        "lost_for",
        "memberships",
        "misconfigured",
        "model",
        "name",
        "names",
        "number",
        "pool",
        "pressure",
        "quota",
        "readers",
        "record",
        "residence_s",
        "routes",
        "scraped_at",
        "seat_watch",
        "seats",
        "service_s",
        "share",
        "shut_until",
        "spec",
        "speculative",
        "takes_any",
        "tells_seats",
        "told",
        "traits",
    )

    def __init__(
        self,
        spec: BackendSpec,
        index: int,
        health: HealthSettings,
        pool: Pool | None = None,
        record: PrefixRecord | None = None,
        *,
        number: int | None = None,
        learns: bool = True,
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self.index = index
        """Position in the configuration: the order of every list of backends."""
        self.number = index if number is None else number
        """Its own for as long as it is known."""
        self.pressure = Pressure(spec.max_concurrency)
        self.limit = self.pressure.limit
        """Permits that may be out: as configured, or as many as fitted when it said that it was full."""
        self.quota: Quota | None = None
        """What it may be sent in a minute; None: as much as it takes."""
        self.lost_for: Fault | None = None
        """Why it was not reached the last time that it was not."""
        self.shut_until = -inf
        """End of its last pause."""
        self.in_flight = 0
        """Permits out."""
        self.readers = 0
        """Attempts out that take no permit."""
        self.share = 1.0
        """Slow start: the share of its usual traffic it should get."""
        self.service_s: float | None = None
        """Smoothed seconds from dispatch to the last byte; None before the first."""
        self.residence_s: float | None = None
        """Smoothed seconds from the first token to the last: how long a seat is taken; None before the first."""
        self.busy = 0
        """Answers so far that said "busy"."""
        self.misconfigured = 0
        """Answers so far that were the operator's fault."""
        self.health = Health(health)
        self.memberships: list[Candidates] = []
        self.pool = pool or Pool(spec.pool)
        self.model = CostModel(self.pool.model)
        self.ledger = Ledger()
        self.flow = DecodeRate()
        self.record = record or PrefixIndex(1).record(0)
        self.forecast = Forecast()
        self.kv_tokens: float | None = spec.kv_tokens
        """KV budget of the engine; None: not known."""
        self.kept = Kept()
        """What of its KV budget is kept for sessions that are away."""
        self.seats: float | None = spec.seats
        """Requests the engine runs at once; None: not known."""
        self.tells_seats = False
        """Its metrics say how many."""
        self.seat_watch = SeatWatch()
        self.concurrency = Concurrency(learns=learns and _is_untold(spec))
        self.batching = Batching()
        self.leading = Leading()
        self.calls = Calls()
        self.loads = ModelLoads()
        self.abilities = Abilities()
        self.asleep = False
        """It takes no requests until somebody wakes it."""
        self.told: EngineFacts = UNKNOWN
        """What the engine says of itself."""
        self.facts: EngineFacts = UNKNOWN
        """… and what its operator says where it does not."""
        self.routes = spec.routes
        """Labels of the routes that it has, of those that not all engines have: all, until it is known what it is."""
        self.labels: frozenset[str] = frozenset()
        """What jobs may require or prefer: the operator's, its facts and its routes."""
        self._precisions: dict[str, str] = {}
        self._labels_of: dict[str, frozenset[str]] = {}
        """The same for requests for one of its models, by its own names, where each has a precision of its own."""
        self.speculative = False
        """Decodes speculatively: structured output goes elsewhere when it can."""
        self.last_load: Load | None = None
        """Its metrics, when they were last read,"""
        self.scraped_at: float | None = None
        """and when that was."""
        self.traits = spec.traits
        self.abilities.counts_answer = spec.traits.counts_answer
        if spec.requests_per_minute is not None or spec.tokens_per_minute is not None:
            self.quota = Quota(spec.requests_per_minute, spec.tokens_per_minute, 0.0)
        self._describe()
        self._listed: frozenset[str] | None = None
        """Its model list, as a probe found it; None: it lists none, or…"""
        self._asked = False
        """…no probe was answered yet."""
        self.names: frozenset[str] = frozenset()
        self.takes_any = self.known = False
        """Whether it serves every name, and whether the names it serves are known."""
        self.is_stranger = False
        """It takes every name for want of a list, and is of no known kind: it may be no engine at all. What others list
        is not for it."""
        self._canonical: dict[str, str] = {}
        self._call()

    def configure(self, spec: BackendSpec, health: HealthSettings, pool: Pool, *, learns: bool) -> None:
        """As the operator has it now. What was learned stays, but for what is said now and was not, or the reverse."""
        before, self.spec = self.spec, spec
        self.health.configure(health)
        if pool is not self.pool:
            self.pool = pool
            self.model.joins(pool.model)
        if spec.max_concurrency != before.max_concurrency:
            self.pressure.configure(spec.max_concurrency)
            self.limit = self.pressure.limit
        requests, tokens = spec.requests_per_minute, spec.tokens_per_minute
        if self.quota is not None and (self.quota.is_used or requests is not None or tokens is not None):
            self.quota.configure(requests, tokens)
        elif requests is None and tokens is None:
            self.quota = None
        else:
            self.quota = Quota(requests, tokens, 0.0)
        if spec.kv_tokens != before.kv_tokens:
            self.kv_tokens = spec.kv_tokens
        if spec.seats != before.seats:
            self.seats, self.tells_seats = spec.seats or self.seat_watch.seats, False
        if self.concurrency.learns != (learns and _is_untold(spec)):
            self.concurrency = Concurrency(learns=not self.concurrency.learns)
        if spec.traits != before.traits:
            self.traits = spec.traits
            self.abilities.counts_answer = spec.traits.counts_answer
        if spec.routes != before.routes:
            self.routes = spec.routes
        self._describe()
        self._call()

    def tells(self, told: EngineFacts) -> bool:
        """What the engine says of itself now; what it said before holds beside it, since not each look hears all of
        it. Returns whether other rules fit it."""
        return self._says(first_known(told, self.told))

    def tells_precisions(self, precisions: dict[str, str]) -> bool:
        """Of the weights of each of its models; returns whether other rules fit it."""
        if precisions == self._precisions:
            return False
        self._precisions = precisions
        self._describe()
        return True

    def labels_for(self, model: str) -> frozenset[str]:
        """What a job for this model may require or prefer."""
        if not self._labels_of:
            return self.labels
        return self._labels_of.get(self.listed_name(model), self.labels)

    def facts_for(self, model: str) -> EngineFacts:
        """What is known of it as it serves this model."""
        precision = self._precisions.get(self.listed_name(model)) if self._precisions else None
        return self.facts if precision is None else self.facts._replace(precision=precision)

    def is_of_kind(self, kind: str) -> bool:
        """The kind of engine that a probe found; returns whether other rules fit it. Of another nothing is known."""
        return kind != self.told.engine and self._says(UNKNOWN._replace(engine=kind))

    def offers(self, routes: frozenset[str]) -> bool:
        """Labels of the routes that its kind has, as a probe found it; returns whether they are others than before."""
        if routes == self.routes:
            return False
        self.routes = routes
        self._describe()
        return True

    def is_set_up_anew(self) -> None:
        """It was restarted: what it said of itself may be so no more."""
        self._precisions, self._labels_of = {}, {}
        self._says(UNKNOWN._replace(engine=self.told.engine))

    def _says(self, told: EngineFacts) -> bool:
        if told == self.told:
            return False
        before, self.told = self.labels, told
        self._describe()
        return before != self.labels

    def _describe(self) -> None:
        self.facts = first_known(self.told, self.spec.facts)
        self.labels = self.spec.labels | labels_of(self.facts) | self.routes
        self._labels_of = {
            model: self.spec.labels | labels_of(self.facts._replace(precision=precision)) | self.routes
            for model, precision in self._precisions.items()
        }
        self.speculative = self.facts.speculative is True

    def learn(self, listed: frozenset[str] | None, traits: Traits | None = None) -> bool:
        """Its model list as a probe found it (None: it lists none); returns whether that changed anything."""
        before = self.names, self.takes_any, self.known, self.traits, self.is_stranger
        if traits is not None:
            self.traits = traits
            self.abilities.counts_answer = traits.counts_answer
        self._listed, self._asked = listed, True
        self._call()
        return before != (self.names, self.takes_any, self.known, self.traits, self.is_stranger)

    def serves(self, model: str) -> bool:
        """Whether requests for `model` may go here."""
        return self.known and (self.takes_any or model in self.names or self.known_as(model) is not None)

    def is_meant_by(self, model: str) -> bool:
        """The same for a name that somebody lists."""
        return self.serves(model) and (not self.is_stranger or model in self.names)

    def known_as(self, model: str) -> str | None:
        """The name of its own for `model`, written otherwise; None: it has none, or takes names as they stand."""
        return self._canonical.get(canonical(model)) if self._canonical else None

    def means(self, meant: str) -> bool:
        """Whether requests go here for any name that means this one."""
        return (self.takes_any and not self.is_stranger) or meant in self._canonical

    def loose_names(self) -> dict[str, str]:
        """Its names by what they mean; empty where it takes names as they stand."""
        return self._canonical

    @property
    def is_shut(self) -> bool:
        """Whether a request cannot or must not be sent, in panic either: it is not there, asleep, or asked to be left
        alone."""
        return self.health.away or self.is_paused or self.asleep

    @property
    def is_paused(self) -> bool:
        """Whether nothing may be sent for a while: it asked for that, or its quota is used up."""
        return self.pressure.paused or (self.quota is not None and self.quota.is_full)

    @property
    def paused_until(self) -> float:
        """When that is over."""
        until = self.shut_until if self.pressure.paused else -inf
        return max(until, self.quota.full_until) if self.quota is not None and self.quota.is_full else until

    def has_room(self, job: Job, *, bulk: bool) -> bool:
        """Whether one more would not be too many, by its permits and by what it is seen to take."""
        if job.is_free:
            return True
        if self.batching.is_closed and self.in_flight and job.gather is not None:
            return False
        return self.in_flight < self.limit and self.concurrency.has_room(streams=job.stream, bulk=bulk)

    @property
    def is_gone(self) -> bool:
        """Whether what it was sent may never be answered: nothing listens there any more, or it was put to sleep."""
        return self.health.away or self.asleep

    def own_name(self, model: str) -> str:
        """The engine's name for `model`: an alias undone, else as it is asked for."""
        aliases = self.spec.aliases
        if not aliases or model in aliases or not self._canonical:
            return aliases.get(model, model)
        return aliases.get(self._canonical.get(canonical(model), model), model)

    def listed_name(self, model: str) -> str:
        """The engine's name for `model` as it lists it."""
        name = self.own_name(model)
        return self._canonical.get(canonical(name), name) if self._canonical else name

    def _call(self) -> None:
        """The names it serves, by its configuration and its own list."""
        spec = self.spec
        found = self._listed if spec.models is None else spec.models
        self.names = frozenset((*(found or ()), *spec.aliases))
        self.takes_any = spec.any_model or (spec.models is None and self._asked and self._listed is None)
        self.is_stranger = self.takes_any and not spec.any_model and not self.facts.engine
        self.known = self._asked or spec.any_model or spec.models is not None
        self._canonical = {canonical(n): n for n in sorted(self.names)} if self.traits.loose_names else {}

    def took(self, service_s: float, residence_s: float | None = None) -> None:
        """An attempt was served in so many seconds, and its answer in so many of them (None: not known)."""
        self.service_s = _smoothed(self.service_s, service_s)
        if residence_s is not None:
            self.residence_s = _smoothed(self.residence_s, residence_s)


def _is_untold(spec: BackendSpec) -> bool:
    """Nobody says how many requests it runs at once."""
    return spec.seats is None and spec.max_concurrency is None


def _smoothed(known: float | None, newest: float) -> float:
    return newest if known is None else known + _SMOOTHING * (newest - known)
