"""A client of the simulated engine that is found gone by a write ends like one whose leaving was noticed first."""

import asyncio
from typing import Any, cast

import pytest
from aiohttp import ClientConnectionResetError, web

from proxy.sim.engine.spec import PRESETS
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings


async def test_it_is_an_abort_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = SimServer(SimSettings(name="sim", models=("m",), spec=PRESETS["fast"]))

    async def gone(*_: Any) -> web.StreamResponse:
        raise ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(sim, "_with_faults", gone)
    with pytest.raises(asyncio.CancelledError):
        await sim._faulty(cast(Any, gone))(cast(Any, None))
    assert (sim.recorder.aborted, sim.recorder.finished, sim.recorder.in_flight) == (1, 0, 0)
