"""What a scrape of a large fleet costs, and how long anything else of the loop waits for it: 64 backends, 8 classes.

    python -m tests.benchmarks.scrape [--scrapes 10] [--busy 200]

Between two scrapes, a second apart, `--busy` requests end, so that their histograms are written anew. A timer that goes
off every millisecond says how late the loop is. In gzip and as it is; compiled or not, as the proxy is installed.
"""

import argparse
import asyncio
import random
from time import monotonic, perf_counter, process_time

from proxy import build
from proxy.core.scheduler import Scheduler
from proxy.live.scrapes import Form, Scrapes
from proxy.model.backend import BackendSpec
from proxy.model.classes import Promise
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.obs.metrics import Metrics
from proxy.obs.process_metrics import Gauges
from tests.support.stopwatch import quantile
from tests.unit.obs.records import meter, record, timeline

BACKENDS, CLASSES = 64, 8
_TICK_S = 0.001


def fleet() -> Metrics:
    """Metrics of all of it, with nothing counted."""
    names = [f"gpu{number:02}" for number in range(BACKENDS)]
    scheduler = Scheduler(
        [BackendSpec(name, pool=f"pool{number % 4}", models=frozenset({"m"})) for number, name in enumerate(names)],
        retries=RetrySettings(),
        hold=HoldSettings(),
        health=HealthSettings(),
        rng=random.Random(1),
    )
    promises = [Promise(0.2 + number / 100, 0.05, 2.0) for number in range(CLASSES)]
    return Metrics(scheduler, lambda: Gauges(9, 0, dict.fromkeys(names, 3), {}), monotonic, promises=promises)


def count(metrics: Metrics, backend: int, traffic_class: int) -> None:
    """One request that ended now."""
    received = monotonic() - 2.0
    metrics.count(
        record(
            backend=f"gpu{backend:02}",
            traffic_class=f"class{traffic_class}",
            model="m",
            timeline=timeline(received, last_byte=received + 1.999),
            meter=meter(received),
        )
    )


async def lateness(late: list[float]) -> None:
    """How late the loop is, seconds, again and again."""
    while True:
        due = perf_counter() + _TICK_S
        await asyncio.sleep(_TICK_S)
        late.append(perf_counter() - due)


async def scraped(metrics: Metrics, form: Form, scrapes: int, busy: int) -> str:
    """One line of the table."""
    dice = random.Random(3)
    served = Scrapes(lambda is_open: metrics.pieces(is_open=is_open), asyncio.get_running_loop(), monotonic)
    took, cpu, late, idle, size_b = list[float](), list[float](), list[float](), list[float](), 0
    for _ in range(scrapes):
        for _ in range(busy):
            count(metrics, dice.randrange(BACKENDS), dice.randrange(CLASSES))
        await asyncio.sleep(0.1)
        for told, work in ((late, True), (idle, False)):
            watch = asyncio.ensure_future(lateness(told))
            await asyncio.sleep(0)
            if work:
                began, worked = perf_counter(), process_time()
                size_b = len(await served.body(form))
                took.append(perf_counter() - began)
                cpu.append(process_time() - worked)
            await asyncio.sleep(max(0.0, 0.45 - (took[-1] if work else 0.0)))
            watch.cancel()
    told_s = quantile(took, 0.5), quantile(cpu, 0.5), quantile(late, 0.99), max(late), quantile(idle, 0.99)
    ms = [1e3 * value for value in told_s]
    return (
        f"{'gzip' if form.is_packed else 'text'} {size_b / 1e6:6.2f} MB: {ms[0]:.0f} ms, of the processor {ms[1]:.0f}; "
        f"loop late, 99 %: {ms[2]:.1f} ms (at most {ms[3]:.1f}), without scrapes {ms[4]:.1f}"
    )


async def measured(scrapes: int, busy: int) -> None:
    """The whole table."""
    metrics = fleet()
    for backend in range(BACKENDS):
        for traffic_class in range(CLASSES):
            count(metrics, backend, traffic_class)
    lines = "".join(metrics.pieces(is_open=False)).count("\n")
    print(f"{BACKENDS} backends, {CLASSES} classes: {lines:,} lines; {build()}")
    for form in (Form(False, False), Form(True, False), Form(True, True)):
        print(await scraped(metrics, form, scrapes, busy))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scrapes", type=int, default=10)
    parser.add_argument("--busy", type=int, default=200)
    asked = parser.parse_args()
    asyncio.run(measured(asked.scrapes, asked.busy))
