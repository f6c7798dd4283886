"""Bursts on one beginning that no engine has yet: the first goes, the others wait for its first token and go to the
same engine, which then finds that beginning in its cache.

Owns who follows whom, and whether that is worth it. Nobody loses by it what he had: before an engine that computes
prompts in the order in which they come, a follower would stand behind his leader, too, and have it all computed again.
"""

from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.jobs.learning import LEAST_S
from proxy.core.jobs.open_job import OpenJob
from proxy.core.learn.entry import Entry

_SPARE: Final = 0.5
"""Of the time that a follower has to spare may be spent on waiting."""
_LONGER: Final = 1.5
"""It waits so many times as long as its leader is predicted to need."""


class Followers:
    """One per scheduler."""

    __slots__ = ("_of", "followed", "saved_tokens")

    def __init__(self) -> None:
        self._of: dict[Entry, tuple[Backend, list[OpenJob]]] = {}
        self.followed = 0
        """Jobs that went when their leader's prompt had been computed,"""
        self.saved_tokens = 0.0
        """and the tokens that they had in common with it."""

    def __bool__(self) -> bool:
        """Whether anybody follows."""
        return bool(self._of)

    def leader(self, backend: Backend, demand: Demand) -> tuple[Entry | None, float]:
        """Whom a job that would go to `backend` should wait for, and for how long at most; after `foresee`."""
        chain, model = demand.chain, backend.model
        depth = backend.record.match(chain)
        entry = backend.leading.by_block.get(chain[depth - 1]) if depth else None
        if entry is None:
            return None, 0.0
        saved = self._saved(entry, depth, demand)
        if model.work_s(saved, saved * saved) * model.slow < LEAST_S:
            return None, 0.0
        remaining_s = max(0.0, entry.ttft - (demand.now - entry.dispatched))
        spare_s = _SPARE * (demand.ttft_left - demand.ttft_margin * backend.forecast.cost)
        if remaining_s > spare_s:
            return None, 0.0
        return entry, min(_LONGER * remaining_s + LEAST_S, spare_s)

    def add(self, open_job: OpenJob, entry: Entry, backend: Backend) -> None:
        """It waits."""
        self._of.setdefault(entry, (backend, []))[1].append(open_job)
        open_job.follows = entry

    def due(self) -> list[tuple[Entry, Backend, list[OpenJob]]]:
        """Those whose leader's prompt is computed, or never will be. Some may have gone another way since."""
        return [(entry, backend, open_jobs) for entry, (backend, open_jobs) in self._of.items() if not entry.leads]

    def keep(self, entry: Entry, open_jobs: list[OpenJob]) -> None:
        """Only these still follow: there is no room for them at the moment."""
        if open_jobs:
            self._of[entry] = (self._of[entry][0], open_jobs)
        else:
            del self._of[entry]

    def went(self, entry: Entry, backend: Backend, demand: Demand) -> None:
        """A follower goes where its leader went."""
        self.followed += 1
        self.saved_tokens += self._saved(entry, backend.record.match(demand.chain), demand)

    @staticmethod
    def _saved(entry: Entry, depth: int, demand: Demand) -> float:
        return min(demand.prompt, max(0, depth - entry.led_from) * demand.block_tokens)
