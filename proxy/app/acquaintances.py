"""Engines that another configuration brings, met before it is in place: else their first requests would find backends
of which nobody knows yet whether they are there and what they serve.

Owns the first questions, for so long at most, and what was answered until there is somebody to hear it.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from proxy.live.background.prober import Prober
from proxy.live.catalogue import ModelList
from proxy.live.driver import Driver
from proxy.live.upstream.address import SocketAddress
from proxy.live.upstream.backends import Upstream
from proxy.model.backend import BackendSpec
from proxy.model.commands import Probed, Report


class Notes:
    """What a prober has to say, kept until it is wanted; from then on handed through."""

    def __init__(self) -> None:
        self._kept: list[Report | list[dict[str, Any]]] = []
        self._to: tuple[Driver, ModelList] | None = None

    def report(self, report: Report) -> None:
        """For the scheduler."""
        if self._to is None:
            self._kept.append(report)
        else:
            self._to[0].report(report)

    def learn(self, entries: list[dict[str, Any]]) -> None:
        """For the list of models."""
        if self._to is None:
            self._kept.append(entries)
        else:
            self._to[1].learn(entries)

    def probed(self) -> list[Probed]:
        """What of it says whether the backend is there, and what it serves."""
        return [one for one in self._kept if isinstance(one, Probed)]

    def hand_over(self, driver: Driver, models: ModelList) -> None:
        """They know the backend now."""
        self._to = driver, models
        kept, self._kept = self._kept, []
        for one in kept:
            if isinstance(one, list):
                models.learn(one)
            else:
                driver.report(one)


@dataclass(slots=True)
class Acquaintance:
    """One backend that is not configured yet."""

    spec: BackendSpec
    address: SocketAddress
    upstream: Upstream
    prober: Prober
    notes: Notes
    first: "asyncio.Task[None]" = field(init=False)
    """Its first probe."""

    def __post_init__(self) -> None:
        self.first = asyncio.ensure_future(self.prober.probe())

    def part(self) -> None:
        """It is not wanted after all."""
        self.first.cancel()
        self.upstream.pool.retire()


async def meet(acquaintances: Iterable[Acquaintance], within_s: float) -> None:
    """Until all have answered, or the time is up: one that is dead keeps nobody waiting for long."""
    firsts = [one.first for one in acquaintances]
    if firsts:
        await asyncio.wait(firsts, timeout=within_s)
