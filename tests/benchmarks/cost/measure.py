"""What a short request, a chunk and a stream opened and closed cost: slopes between few and many of each."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks.cost.counted import CountedProxy, counted_proxy
from tests.benchmarks.cost.lockstep import Engine, Load, crowd

AT_ONCE: Final = 8
"""Clients. Each is a connection that is swept ten times a second: many of them would cost by the clock."""
_FEW: Final = 4
_MANY: Final = 154
"""Chunks of short and of long streams."""


def measure() -> dict[str, int]:
    """Instructions per thing, by its name."""
    engine = Engine()
    engine.start()
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-cost-") as folder,
        counted_proxy(Path(folder), engine.url) as proxy,
        crowd(proxy.address, AT_ONCE) as clients,
    ):
        load = Load(engine, clients)
        _warm_up(proxy, load)
        return _slopes(proxy, load)


def _warm_up(proxy: CountedProxy, load: Load) -> None:
    """Every table has its size, and callgrind has seen the code."""
    load.requests(40)
    load.streams(4, 6)
    proxy.begin()
    load.requests(8)
    load.streams(2, _FEW)


def _slopes(proxy: CountedProxy, load: Load) -> dict[str, int]:
    few, many = (proxy.count(partial(load.requests, waves)) for waves in (20, 80))
    short, shorts = (proxy.count(partial(load.streams, waves, _FEW)) for waves in (4, 24))
    long = proxy.count(partial(load.streams, 4, _MANY))
    per_chunk = (long.instructions - short.instructions) / (short.things * (_MANY - _FEW))
    per_stream = shorts.slope(short) - _FEW * per_chunk
    return {"request": round(many.slope(few)), "chunk": round(per_chunk), "stream": round(per_stream)}
