"""Runs of a benchmark as they lie on disk, made up: seeded, so that tests know what is in them."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from proxy.bench import details, rows
from proxy.bench.details import Detail, DetailWriter, Outcome
from proxy.bench.rows import Row, RowWriter, timestamp
from proxy.bench.run_file import Arrivals, Batching, CacheState, Cell, Client, RunFile, Target, write_run_file

EPOCH = 1_750_000_000.0


def made_up_run(
    folder: Path,
    *,
    loads: Sequence[int] = (8,),
    windows: Sequence[float] = (),
    n: int = 200,
    seed: int = 1,
    factor: float = 1.0,
    cache: CacheState = "warm",
    failing: float = 0.02,
    hardware: str = "2 cores",
    server: str = "tidegate",
    complete: bool = True,
) -> Path:
    """A cell for each load and window. `factor`: all latencies times this; the same seed draws the same requests."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = []
    with RowWriter(folder / rows.FILE) as told, DetailWriter(folder / details.FILE) as known:
        for place, (load, window) in enumerate((load, window) for load in loads for window in (windows or (None,))):
            name = f"c{place}"
            rng = Random(seed * 1000 + place)
            for index in range(n):
                row, detail = _request(rng, name, index, load, window, factor, failing, hardware, server)
                told.write(row)
                known.write(detail)
            cells.append(_cell(name, load, window, n))
    write_run_file(
        folder,
        RunFile(
            argv=["tidegate", "bench"],
            seed=seed,
            workload="short-chat",
            targets={"url": Target(url="http://127.0.0.1:8080", server=server)},
            git="0123456789abcdef",
            hardware=hardware,
            versions={"tidegate": "0.1.0"},
            cache=cache,
            emptied_by="unseen prefixes" if cache == "cold" else "",
            cells=cells,
            complete=complete,
        ),
    )
    return folder


def _cell(name: str, load: int, window: float | None, n: int) -> Cell:
    return Cell(
        id=name,
        arrivals=Arrivals(process="closed", concurrency=load),
        settings={} if window is None else {"window.max_wait": f"{window:g}ms"},
        planned=n,
        done=n,
        batching=Batching(configured={} if window is None else {"window.max_wait": f"{window:g}ms"}, sizes={"1": n}),
        client=Client(lag_p99_ms=0.4, cpu=0.12),
        tokens_sources={"usage": n},
        complete=True,
    )


def _request(
    rng: Random,
    cell: str,
    index: int,
    load: int,
    window: float | None,
    factor: float,
    failing: float,
    hardware: str,
    server: str,
) -> tuple[Row, Detail]:
    at = EPOCH + index * 0.5 / load + (rng.random() * 0.1)
    prompt, output = rng.randrange(50, 400), rng.randrange(50, 150)
    queue = rng.expovariate(1 / (2.0 * load * load / 16)) + (window or 0.0) * rng.random()
    prefill = prompt * 0.2 + rng.gauss(0, 1)
    ttft, tpot = (20 + queue + prefill) * factor, rng.uniform(9, 12) * factor
    e2e = ttft + tpot * (output - 1)
    fails = rng.random() < failing
    outcome: Outcome = rng.choice(("refused", "failed", "broken")) if fails else "served"
    row = Row(
        timestamp=timestamp(at),
        hardware=hardware,
        model="tiny",
        precision="fp16",
        server=server,
        concurrency=load,
        batch_window_ms=window,
        prompt_tokens=prompt,
        output_tokens=None if fails else output,
        ttft_ms=None if fails else ttft,
        e2e_ms=5.0 if fails else e2e,
        tpot_ms=None if fails else tpot,
        success=not fails,
    )
    stages = {"queue": queue * factor, "prefill": prefill * factor, "decode": tpot * (output - 1)}
    detail = Detail(
        cell=cell,
        index=index,
        workload="short-chat",
        digest=f"{index:04x}{prompt:04x}{output:04x}",
        intended_at=at,
        sent_at=at,
        outcome=outcome,
        status=429 if outcome == "refused" else 200,
        stages_ms={} if fails else stages,
        tokens_source="usage",
    )
    return row, detail
