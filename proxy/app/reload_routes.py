"""The admin port's words on the configuration: what is in place, another reload, a trial's end."""

from collections.abc import Mapping
from typing import Any

from proxy.app.reloader import Reloader
from proxy.app.trial import LONGEST_S, Trials
from proxy.live.admin import READS, WRITES, AdminRoute
from proxy.model.units import parse_duration_s
from proxy.obs.config_metrics import ConfigState

Query = Mapping[str, list[str]]
_TRIGGER = "admin"


class ReloadRoutes:
    """One per process."""

    def __init__(self, reloader: Reloader, trials: Trials, state: ConfigState) -> None:
        self._reloader = reloader
        self._trials = trials
        self._state = state

    def routes(self) -> dict[str, AdminRoute]:
        """Path → what answers."""
        return {
            "/config": AdminRoute(READS, self._view),
            "/reload": AdminRoute(WRITES, self._reload),
            "/reload/confirm": AdminRoute(WRITES, self._confirm),
            "/reload/rollback": AdminRoute(WRITES, self._roll_back),
        }

    async def _view(self, _: Query) -> tuple[int, Any]:
        back = self._reloader.before
        before = None if back is None else back.digest
        return 200, {**self._state.view(), "before": before, "trial": self._trials.view()}

    async def _reload(self, query: Query) -> tuple[int, Any]:
        wanted = query.get("confirm", [""])[0]
        if not wanted:
            reloaded = await self._reloader.ask(_TRIGGER)
            return 200 if reloaded.ok else 422, reloaded.view()
        try:
            within_s = float(parse_duration_s(wanted))
        except ValueError as error:
            return 400, {"error": f"confirm {error}"}
        if not 0 < within_s <= LONGEST_S:
            return 400, {"error": "confirm must be above 0 and at most 1h"}
        told = await self._trials.reload(_TRIGGER, within_s)
        return 200 if told["reloaded"] else 422, told

    async def _confirm(self, _: Query) -> tuple[int, Any]:
        if self._trials.confirm():
            return 200, {"confirmed": True, "hash": self._reloader.now.digest}
        return 409, {"error": "no configuration is on trial: it was confirmed, rolled back, or never was"}

    async def _roll_back(self, _: Query) -> tuple[int, Any]:
        why_not = await self._trials.roll_back("somebody asked for it")
        if why_not is not None:
            return 409, {"error": why_not}
        return 200, {"rolled_back": True, "hash": self._reloader.now.digest}
