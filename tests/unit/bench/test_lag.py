"""How late the load generator is: a loop that is held up is late, an idle one is not; a rule says when it counts."""

import asyncio
import time

import pytest

from proxy.bench.lag import LagWatch, why_bottleneck


async def test_a_loop_that_is_held_up_is_late() -> None:
    watch = LagWatch()
    watch.start()
    for _ in range(9):
        await asyncio.sleep(0.015)
        time.sleep(0.06)
    await asyncio.sleep(0.02)
    watch.sent(0.25)
    watch.events += 10
    told = watch.told()
    watch.stop()
    assert told.lag_max_ms > 30
    assert told.lag_p99_ms > 10
    assert told.bottleneck
    assert "late by" in told.why
    assert told.late_p99_ms == pytest.approx(250, rel=0.05)
    assert told.events_per_s > 1


async def test_start_forgets_what_was_before() -> None:
    watch = LagWatch()
    watch.start()
    watch.sent(9.0)
    watch.start()
    assert watch.told().late_p99_ms == 0.0
    watch.stop()


def test_the_rule() -> None:
    assert why_bottleneck(0.5, 5.0) == ""
    assert "95% of a core" in why_bottleneck(0.95, 1.0)
    assert "late by 40 ms" in why_bottleneck(0.1, 40.0)
