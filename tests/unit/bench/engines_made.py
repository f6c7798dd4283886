"""A simulated engine in the test's loop, and specs of small loads on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from proxy.bench.run_file import Arrivals
from proxy.bench.spec import LoadSpec, Sample, TargetSpec
from proxy.sim.engine.spec import PRESETS
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings

CLOSED = Arrivals(process="closed", concurrency=3)


@asynccontextmanager
async def engine(name: str = "sim", **more: Any) -> AsyncIterator[SimServer]:
    server = SimServer(SimSettings(name=name, spec=PRESETS["fast"], **more))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def spec(url: str, other: str = "", **changes: Any) -> LoadSpec:
    """Of one target, or of a pair."""
    targets = {"url": TargetSpec(url=url, model="sim")}
    if other:
        targets["direct"] = TargetSpec(url=other, model="sim")
    fields = {"cell": "c", "workload": ["short-chat"], "seed": 1, "arrivals": CLOSED, "targets": targets, "requests": 9}
    return LoadSpec(**{**fields, **changes})


def asked(server: SimServer) -> list[bytes]:
    """Bodies of what it was asked, in order."""
    import base64

    return [base64.b64decode(str(one["body"])) for one in server.recorder.as_json() if one["method"] == "POST"]


class Emitted(list[Sample]):
    """Takes samples, as a pipe would."""

    async def emit(self, sample: Sample) -> None:
        self.append(sample)
