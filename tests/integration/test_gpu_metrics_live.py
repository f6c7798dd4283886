"""Memory of cards, from an exporter to metrics and to what is known of the engine."""

import asyncio
from pathlib import Path

from tests.support.live_proxy import SimEngine, running
from tests.support.route_engine import route_engine

DCGM = 'DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-aa"} 1000\nDCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-bb"} 70000\n'
USED_B = 70_000.0 * (1 << 20)
METRIC = "\ntidegate_engine_gpu_reserved_bytes{"


async def test_what_an_exporter_tells_is_shown(tmp_path: Path) -> None:
    async with route_engine({"/metrics": (200, DCGM)}) as exporter:
        options = f"gpu_metrics: '{exporter.url}/metrics', gpus: [1]"
        async with running(tmp_path, "routing: {scrape: 2s}\n", (SimEngine("a", options=options),)) as live:
            async with asyncio.timeout(10.0):
                while METRIC not in (told := await live.metrics()):
                    await asyncio.sleep(0.05)
            assert float(told.partition(METRIC)[2].partition("\n")[0].split()[1]) == USED_B
            assert live.proxy._scheduler.facts("a").gpu_reserved_b == USED_B, "of which rows of CSV are made"
            assert (await live.ask()).status == 200
