"""The parts of the core are put together around one state."""

import random

from proxy.core.state import State
from proxy.model.backend import BackendSpec
from proxy.model.limits import HoldSettings, RetrySettings
from proxy.model.scheduling import BackfillSettings, CoreSettings, SchedulingSettings
from proxy.model.tenants import TenantSettings

SPECS = [BackendSpec("a", pool="one"), BackendSpec("b", pool="two")]


def made(**scheduling: object) -> State:
    settings = CoreSettings(
        hold=HoldSettings(max_wait=3.0),
        retries=RetrySettings(budget_min_per_s=0.5),
        scheduling=SchedulingSettings(**scheduling),  # type: ignore[arg-type]
    )
    return State(SPECS, settings, random.Random(1))


def test_each_part_is_configured() -> None:
    state = made(
        policy="random", backfill=BackfillSettings(max_wait=7.0), tenants=(TenantSettings(tenant="*", max_streams=1),)
    )
    assert list(state.fleet.by_name) == ["a", "b"]
    assert (state.holds.hold.max_wait_s, state.holds.backfill.max_wait_s) == (3.0, 7.0)
    assert state.router.policy_name == "random"
    assert state.budget.left(0.0) == 5
    assert state.quotas.limits_anybody
    assert not made().quotas.limits_anybody
