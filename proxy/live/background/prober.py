"""Active probes: is a backend alive, which models does it list, what engine is it. One task per backend.

Asks `GET /v1/models`: every OpenAI-compatible engine has it, and it says more than a health route. An engine that
answers anything but "not now" (5xx of a dead or loading one) is alive. Engines that it does not give away are asked for
one route more, once, and again when another one may stand there.
"""

import asyncio
import contextlib
import logging
from typing import Any, Protocol

import orjson

from proxy.core.cache.versions import Versions
from proxy.engines import identity, listing, recognition, revision, routes
from proxy.engines.base import Dialect
from proxy.engines.listing import Listing
from proxy.engines.registry import DIALECTS, UNKNOWN
from proxy.live.background.model_cards import ModelCards
from proxy.live.background.own_list import OwnList
from proxy.live.background.questions import Questions
from proxy.live.background.warmer import Warmer
from proxy.live.relay import Relay
from proxy.live.upstream.backends import Upstream
from proxy.model.commands import Identified, Load, Probed, Report, Restarted
from proxy.model.faults import Fault, FaultError, Kind
from proxy.model.limits import HealthSettings, UpstreamLimits

_log = logging.getLogger("tidegate.prober")
_NOT_NOW = frozenset({502, 503, 504, 508, 521, 522, 523, 525, 526})
_NOT_REACHED = frozenset({521, 522, 523, 525, 526})
"""Something in front of the engine says that it is not there."""
_LOST_S = 1.0
"""A backend that is not there is looked for so often."""
_LOOK_S = 0.1
"""After a request found nobody there, and before it is looked again."""
_HEALTH_B = 64 << 10
_UNWELL = 503
_STRANGER = (
    "backend {} lists no models and is of no known kind, so that it may be no engine: it is asked only for models that "
    "nobody lists; if it is one, write its `models` or its `kind`"
)
_NO_LOOK = "", frozenset[str]()


class Hearer(Protocol):
    """Who hears what became of a probe."""

    def report(self, report: Report) -> None:
        """For the scheduler."""


class Learner(Protocol):
    """Who wants the descriptions of models."""

    def learn(self, entries: list[dict[str, Any]]) -> None:
        """Of one backend's own list."""


class Prober:
    """Probes one backend, again and again."""

    def __init__(
        self,
        backend: Upstream,
        driver: Hearer,
        models: Learner,
        health: HealthSettings,
        limits: UpstreamLimits,
        loop: asyncio.AbstractEventLoop,
        *,
        identifies: bool = False,
        versions: Versions | None = None,
        warmer: Warmer | None = None,
    ) -> None:
        """`identifies`: somebody wants to know whether it is the engine that it was before the proxy started;
        `versions`: whoever wants to know of which weights its models are. `warmer`: asks it for prompts before it is
        said to be there."""
        self._versions = versions
        self._backend = backend
        self._driver = driver
        self._models = models
        self._health = health
        self._questions = Questions(backend, limits, loop, "tidegate-probe")
        self._own_list = OwnList(backend, self._questions)
        self._cards = ModelCards(backend, self._questions)
        self._was_ok: bool | None = None
        self._look = _NO_LOOK
        """Of the engine that was asked for more,"""
        self._by_look: str | None = None
        """and what it said that it is."""
        self._seen: Dialect | None = None
        """By the last probe; None: by none since it was away."""
        self._left_out = 0
        self._health_at = 0.0
        """When it may be asked whether it is well."""
        self._identifies = identifies
        self._identified = False
        self._warmer = warmer
        self._weights: dict[str, str] = {}
        """Model → what it said of its weights."""

    def configure(
        self, health: HealthSettings, limits: UpstreamLimits, versions: Versions | None, warmer: Warmer | None
    ) -> None:
        """As another configuration has it, from the next probe on."""
        self._health = health
        self._questions.limits = limits
        self._versions = versions
        self._warmer = warmer

    async def run(self) -> None:
        """Until cancelled."""
        interval_s = self._health.probe_interval
        lost = self._backend.is_lost
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s if self._questions.reached else min(_LOST_S, interval_s)):
                    await lost.wait()
            if lost.is_set():
                lost.clear()
                self._backend.warm = frozenset()
                await asyncio.sleep(_LOOK_S)  # many are lost at once: one look is enough
            await self.probe()

    async def probe(self) -> None:
        """One probe; its result goes to the scheduler."""
        models_at = self._backend.dialect.models_at
        try:
            relay = await self._questions.get(models_at, listing.MAX_B, self._health.probe_timeout)
        except TimeoutError:
            self._failed(f"no answer within {self._health.probe_timeout:g} s")
        except FaultError as error:
            self._failed(error.fault.message, error.fault)
        else:
            await self._answered(relay)

    async def _answered(self, relay: Relay) -> None:
        closes = relay.fault is not None and relay.fault.kind is Kind.RESET
        is_nobody = self._backend.is_nobody(closes_probe=closes)
        if relay.fault is not None or relay.status in _NOT_NOW:
            self._questions.reached = relay.status not in _NOT_REACHED and not is_nobody
            self._failed(relay.fault.message if relay.fault else _reason(relay.status))
            return
        if await self._is_unwell():
            return
        fields, server = _parsed(relay), _server(relay)
        found = listing.read(fields)
        is_recognised = self._backend.kind_known or self._recognised(fields, server)
        is_known = is_recognised or self._look == recognition.look(fields, server)
        if self._warmer is not None and found is not None and (is_known or not recognition.signs(fields, server)):
            await self._warm(self._warmer, found)
        self._tell(True, _names(found))
        self._driver.report(self._probed(found))
        if found is not None:
            self._learn(found)
        if not is_recognised:
            is_recognised = await self._ask_for_more(fields, server, found)
        if found is None and self._backend.lists and not self._backend.kind:
            self._backend.warn_once(_STRANGER.format(self._backend.name))
        if self._versions is not None and found is not None:
            await self._revise(self._versions, found)
        if found is not None:
            await self._own_list.look(found.names, self._health.probe_timeout)
            await self._cards.look(found.names, self._health.probe_timeout)
        if self._identifies and is_recognised and not self._identified:
            await self._identify(fields)

    async def _is_unwell(self) -> bool:
        """Whether it lists its models and says that it cannot serve them. One that does not say is well."""
        dialect, now = self._backend.dialect, self._backend.clock()
        path = dialect.health
        if not path or now < self._health_at:
            return False
        self._health_at = now + dialect.health_every_s
        try:
            relay = await self._questions.get(path, _HEALTH_B, self._health.probe_timeout)
        except (TimeoutError, FaultError):
            return False
        if relay.status != _UNWELL:
            return False
        self._health_at = now  # until it is well
        self._failed(f"{path} says 503")
        return True

    async def _warm(self, warmer: Warmer, found: Listing) -> None:
        """Models that are new here or in its memory, and those of which it says that their weights are new. None is
        loaded for it."""
        backend, told = self._backend, revision.of_entries(found.entries)
        changed = {name for name, weights in told.items() if self._weights.get(name, weights) != weights}
        there = found.names if found.loaded is None else found.loaded
        cold = there - (backend.warm - changed)
        self._weights = told
        if cold and backend.dialect.in_memory is not None:
            there &= await warmer.in_memory(backend, backend.dialect.in_memory, there)
            cold &= there
        if cold:
            await warmer.warm(backend, cold)
        backend.warm = there

    def _probed(self, found: Listing | None) -> Probed:
        backend = self._backend
        names, contexts = (None, None) if found is None else (found.names, found.contexts or None)
        backend.contexts = contexts or backend.contexts
        kind, traits = backend.kind, backend.dialect.traits
        return Probed(backend.name, True, names, True, None, contexts, traits, kind, routes.labels(kind))

    def _learn(self, found: Listing) -> None:
        self._models.learn(found.entries)
        if found.loaded is not None:
            self._driver.report(Load(self._backend.name, loaded=found.loaded))
        if found.left_out > self._left_out:
            _log.warning("backend %s lists too many models: %d left out", self._backend.name, found.left_out)
        self._left_out = found.left_out

    def _failed(self, reason: str, fault: Fault | None = None) -> None:
        self._look, self._seen, self._identified = _NO_LOOK, None, False  # whoever comes back may be another
        self._backend.warm = frozenset()
        self._tell(False, reason)
        reached = self._questions.reached
        self._driver.report(Probed(self._backend.name, ok=False, reached=reached, fault=None if reached else fault))

    def _recognised(self, fields: Any, server: str) -> bool:
        """Looked at each time: behind a URL stands now this engine, now that one."""
        kind = recognition.recognise(fields, server)
        if kind is not None:
            self._is(kind)
        return kind is not None

    async def _ask_for_more(self, fields: Any, server: str, found: Listing | None) -> bool:
        """Whether it told all that it will."""
        look = recognition.look(fields, server)
        if look != self._look:
            try:
                self._by_look = await self._by_signs(fields, server)
            except (TimeoutError, FaultError):
                return False  # it may tell next time
            self._look = look
        kind = self._by_look
        if (kind is not None or (found is not None and found.entries)) and self._is(kind):
            self._driver.report(self._probed(found))
        return True

    async def _identify(self, fields: Any) -> None:
        """Once, until it may be another one: its version costs a question."""
        backend, path = self._backend, identity.VERSION_ROUTES.get(self._backend.dialect.kind)
        version = ""
        if path is not None:
            try:
                relay = await self._questions.get(path, listing.MAX_B, self._health.probe_timeout)
            except (TimeoutError, FaultError):
                return  # it may tell next time
            version = identity.version(relay.body) if relay.complete and relay.status == 200 else ""
        self._identified = True
        told = identity.digest(backend.dialect.kind, version, backend.where, fields)
        self._driver.report(Identified(backend.name, told))

    async def _revise(self, versions: Versions, found: Listing) -> None:
        """Each time: weights change under a name that stays."""
        dialect = self._backend.dialect
        told = revision.of_entries(found.entries)
        if dialect.revisions is not None:
            try:
                relay = await self._questions.get(dialect.revision_route, listing.MAX_B, self._health.probe_timeout)
            except (TimeoutError, FaultError):
                return  # it may tell next time
            if relay.complete and relay.status == 200:
                told |= dialect.revisions(relay.body)
        names = self._backend.aliases
        versions.told(self._backend.name, told | {public: told[own] for public, own in names.items() if own in told})

    async def _by_signs(self, fields: Any, server: str) -> str | None:
        for sign in recognition.signs(fields, server):
            relay = await self._questions.get(sign.path, listing.MAX_B, self._health.probe_timeout)
            kind = sign.reads(relay.body) if relay.complete and relay.status == 200 else None
            if kind is not None:
                return kind
        return None

    def _is(self, kind: str | None) -> bool:
        """Whether that is news. An engine that was recognised is another one when that is seen twice, or when it was
        away: a URL may lead to several, in turns."""
        backend, dialect = self._backend, UNKNOWN if kind is None else DIALECTS[kind]
        before, self._seen = self._seen, dialect
        was = backend.dialect
        if dialect is was or (was is not UNKNOWN and before is not None and before is not dialect):
            return False
        backend.dialect = dialect
        _log.info("backend %s is %s", backend.name, kind or "of an unknown kind")
        if was is not UNKNOWN:
            backend.contexts = {}
            self._own_list.forget()
            self._cards.forget()
            self._driver.report(Restarted(backend.name))
            self._backend.warm = frozenset()
        return True

    def _tell(self, ok: bool, said: str) -> None:
        self._backend.answers = ok
        if ok == self._was_ok:
            return
        self._was_ok = ok
        if ok:
            _log.info("backend %s is up (%s)", self._backend.name, said)
        else:
            _log.warning("backend %s is down: %s", self._backend.name, said)


def _server(relay: Relay) -> str:
    return next((value for name, value in relay.headers if name.lower() == b"server"), b"").decode("latin-1")


def _parsed(relay: Relay) -> Any:
    """The model list; None for anything else."""
    if relay.status != 200 or not relay.complete:
        return None
    try:
        return orjson.loads(relay.body)
    except orjson.JSONDecodeError:
        return None


def _names(found: Listing | None) -> str:
    return "no model list" if found is None else ", ".join(sorted(found.names)[:5])


def _reason(status: int) -> str:
    return "its address leads back to this proxy" if status == 508 else f"status {status}"
