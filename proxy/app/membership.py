"""From backends that stand for all addresses of a name to one backend for each of them.

    every `resolve_every`: look up ──▶ who joins, who leaves (`core.fleet.addresses`) ──▶ the configuration in place,
                                                                                    with its members, is put in place

Owns when names are looked up, what is said of them, and the configuration with members in it. How backends come and go
is that of a reload.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import monotonic
from typing import Any, Final, NamedTuple

from proxy.app.candidate import Candidate
from proxy.config.backend import BackendOptions
from proxy.config.schema import MAX_BACKENDS, Config
from proxy.core.fleet.addresses import Addresses, failed, looked_up
from proxy.live.upstream.resolver import Lookup, Resolver

_log = logging.getLogger("tidegate.backends")
FIRST_S: Final = 2.0
"""A start and a reload wait for names that they bring for so long: until then each is one backend."""
_FORGET_S: Final = 60.0
"""A name is known for so long after its last lookup: a configuration that names it may be about to be put in place."""
_LOOK_S: Final = 0.25
"""Between two looks at what is due."""


class Name(NamedTuple):
    """What is looked up."""

    host: str
    family: str


def name_of(backend: BackendOptions) -> Name | None:
    """Which a backend stands for; None: it is one engine."""
    return None if backend.resolve == "one" else Name(backend.address.host, backend.resolve)


class Membership:
    """One per process, on the loop of its proxy."""

    def __init__(self, lookup: Lookup | None = None, clock: Callable[[], float] = monotonic) -> None:
        """`lookup`: None: as this machine does."""
        self._lookup = lookup or Resolver()
        self._clock = clock
        self._names: dict[Name, Addresses] = {}
        self._asked: dict[Name, float] = {}
        """When each was looked up last."""

    async def learn(self, config: Config) -> None:
        """The names that it brings are looked up a first time."""
        new = [name for name in _every(config) if name not in self._names]
        if not new:
            return
        asked = [asyncio.ensure_future(self._look_up(name)) for name in new]
        _, late = await asyncio.wait(asked, timeout=FIRST_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    def members(self, backend: BackendOptions) -> tuple[BackendOptions, ...]:
        """One for each address; itself where there is nothing to tell of its name, or no name."""
        name = name_of(backend)
        known = () if name is None else self._names.get(name, Addresses()).known()
        return tuple(backend.at(address) for address in known) or (backend,)

    def in_config(self, config: Config) -> Config:
        """The same with members instead of their names; itself where there are none."""
        if not any(name_of(backend) for backend in config.backends):
            return config
        room = MAX_BACKENDS - len(config.backends)
        found: list[BackendOptions] = []
        for backend in config.backends:
            some = self.members(backend)[: room + 1]
            room -= len(some) - 1
            found += some
        return config.model_copy(update={"backends": tuple(found)})

    def in_candidate(self, written: Candidate) -> Candidate:
        """The same of what is read already."""
        config = self.in_config(written.config)
        if config is written.config:
            return written
        addresses = dict(written.addresses)
        for backend in written.config.backends:
            where = addresses[backend.name]
            for member in self.members(backend):
                addresses[member.name] = replace(where, name=member.name, ip=member.ip or "")
        wanted = {backend.name for backend in config.backends}
        return written._replace(
            config=config, addresses={name: where for name, where in addresses.items() if name in wanted}
        )

    async def run(self, in_place: Callable[[], Config], changed: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled. `in_place`: as it is written; `changed`: members are others, put that in place."""
        while True:
            await asyncio.sleep(_LOOK_S)
            wanted, now = _every(in_place()), self._clock()
            self._forget(wanted, now)
            due = [name for name, every_s in wanted.items() if self._is_due(name, every_s, now)]
            if not due:
                continue
            before = {name: self._known(name) for name in due}
            await asyncio.gather(*[self._look_up(name) for name in due])
            if any(self._known(name) != known for name, known in before.items()):
                await changed()

    def view(self) -> list[dict[str, Any]]:
        """What is known of each name; JSON's types only."""
        return [
            {
                "host": name.host,
                "family": name.family,
                "addresses": list(known.known()),
                "left_out": known.left_out,
                "trouble": known.trouble or None,
            }
            for name, known in self._names.items()
        ]

    # --- one name

    def _is_due(self, name: Name, every_s: float, now: float) -> bool:
        asked = self._asked.get(name)
        return asked is None or now >= asked + every_s

    def _forget(self, wanted: dict[Name, float], now: float) -> None:
        for name in [name for name, asked in self._asked.items() if name not in wanted and now >= asked + _FORGET_S]:
            del self._asked[name]
            self._names.pop(name, None)

    def _known(self, name: Name) -> tuple[str, ...]:
        return self._names.get(name, Addresses()).known()

    async def _look_up(self, name: Name) -> None:
        self._asked[name] = self._clock()
        try:
            found = await self._lookup(*name)
        except OSError as error:
            self._learned(name, failed(self._names.get(name, Addresses()), str(error)))
        except asyncio.CancelledError:
            self._learned(name, failed(self._names.get(name, Addresses()), f"no answer within {FIRST_S:g} s"))
            raise
        else:
            self._learned(name, looked_up(self._names.get(name, Addresses()), found))

    def _learned(self, name: Name, after: Addresses) -> None:
        before, self._names[name] = self._names.get(name, Addresses()), after
        _say(name.host, before, after)


def _every(config: Config) -> dict[Name, float]:
    """Each name, and how often it is looked up, s: as the most eager of its backends wants."""
    found: dict[Name, float] = {}
    for backend in config.backends:
        if (name := name_of(backend)) is not None:
            found[name] = min(backend.resolve_every, found.get(name, backend.resolve_every))
    return found


def _say(host: str, before: Addresses, after: Addresses) -> None:
    """What is new, once."""
    known, were = after.known(), before.known()
    if after.trouble and not before.trouble:
        rest = f"the {len(known)} known so far stay" if known else "it stays one backend until it does"
        _log.warning("%s does not resolve: %s; %s", host, after.trouble, rest)
    elif before.trouble and not after.trouble:
        _log.info("%s resolves again, to %d addresses", host, len(known))
    joining, leaving = [one for one in known if one not in were], [one for one in were if one not in known]
    if joining or leaving:
        words = [f"{word} {', '.join(ones)}" for word, ones in (("join:", joining), ("leave:", leaving)) if ones]
        _log.info("%s: %s", host, "; ".join(words))
    if after.left_out and not before.left_out:
        _log.warning("%s has %d addresses more than are used", host, after.left_out)
