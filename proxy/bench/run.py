"""A run from its options to its folders: the targets are looked at, each cell is configured, loaded and recorded, and
everything is as it was at the end.

Owns the order, what is gone on with after a kill, and what becomes of a run that is interrupted or whose disk is full:
what was measured stays, and the proxy's configuration is put back.
"""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from time import time
from typing import Final

from proxy.bench import run_file
from proxy.bench.admin import AdminError
from proxy.bench.asks import Source
from proxy.bench.beginning import AS_FOUND, RunError, begun, check_free
from proxy.bench.child import Child, ChildError
from proxy.bench.details import Side, digest_of
from proxy.bench.options import Options
from proxy.bench.pairs import comparisons
from proxy.bench.progress import Progress
from proxy.bench.reconfigure import ReconfigureError, Reconfigurer
from proxy.bench.recorder import Labels, Recorder, conclude
from proxy.bench.rows import timestamp
from proxy.bench.run_file import Batching, CacheState, Cell, RunFile, read_run_file
from proxy.bench.run_folder import Measured
from proxy.bench.spec import Beat, Finished, LoadSpec, Sample
from proxy.bench.survey import Survey, survey, window_ms, windows_of
from proxy.bench.sweep import MODEL, Combination, combinations
from proxy.bench.target import TargetError
from proxy.bench.workloads.named import source_of
from proxy.bench.workloads.recorded import PromptLoad

WARMUP: Final = 8
AA: Final = "aa"
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AA_PAIRS: Final = (30, 200)


@dataclass(slots=True)
class Bench:
    """One command. `run` it."""

    options: Options
    progress: Progress
    source: Source
    seen: Survey
    reconfigurer: Reconfigurer | None
    interrupted: bool = False
    served: int = 0
    """Requests, in all folders."""
    _child: Child | None = None
    _runs: list[RunFile] = field(default_factory=list)

    def interrupt(self) -> None:
        """Ctrl-C: the cell ends now, and with it the run; again: without waiting for a load generator that hangs."""
        if self._child is not None:
            (self._child.kill if self.interrupted else self._child.stop)()
        self.interrupted = True

    async def run(self) -> list[RunFile]:
        """Every folder. Raises RunError, OSError."""
        watching = asyncio.create_task(self.seen.watch())
        try:
            for state in self.options.caches:
                if not self.interrupted:
                    await self._folder(self.options.folder(state), state)
        finally:
            watching.cancel()
            if self.reconfigurer is not None:
                await self._put_back(self.reconfigurer)
        return self._runs

    async def _put_back(self, reconfigurer: Reconfigurer) -> None:
        try:
            await reconfigurer.restore()
        except ReconfigureError as error:
            self.progress.say(f"the proxy's configuration was not put back: {error}")

    async def _folder(self, folder: Path, state: CacheState) -> None:
        """One run: one state of caches."""
        run, before = begun(folder, state, self.options, self.source.name, self.seen, self.progress.say)
        self._runs.append(run)
        recorder = Recorder(folder, run, self.seen.gauges)
        try:
            for chosen in combinations(self.options.seeds, self.options.axes, self.options.loads):
                cell = run.cell(chosen.id)
                if self.interrupted or (cell is not None and cell.complete):
                    continue
                cell = cell or self._new_cell(run, chosen)
                await self._cell(recorder, cell, chosen, before.get(chosen.id, []))
            run.complete = not self.interrupted and all(cell.complete for cell in run.cells)
            run.ended = timestamp(time())
            recorder.save()
        finally:
            recorder.close()

    def _new_cell(self, run: RunFile, chosen: Combination) -> Cell:
        settings = dict(chosen.settings)
        wanted, there = self.options.requests, self.source.total
        planned = wanted if there is None else there if wanted is None else min(wanted, there)
        cell = Cell(
            id=chosen.id,
            seed=chosen.seed,
            arrivals=chosen.arrivals,
            settings=settings,
            model=self.seen.spec(self.options, "url", chosen.model).model,
            precision=settings.get("precision", self.seen.precision(self.options)),
            planned=None if self.options.duration_s is not None else planned,
            duration_s=self.options.duration_s,
        )
        if there is not None and wanted is not None and there < wanted:
            cell.notes.append(f"{self.source.name} holds {there:,} requests, less than {wanted:,}")
        run.cells.append(cell)
        return cell

    async def _cell(self, recorder: Recorder, cell: Cell, chosen: Combination, before: list[Measured]) -> None:
        """Configure, load, record, conclude."""
        run = recorder.run
        if self.reconfigurer is not None:
            try:
                cell.config_hash = await self.reconfigurer.apply(chosen.settings)
            except ReconfigureError as error:
                raise RunError(str(error)) from None
        cell.config_hash = cell.config_hash or self.seen.config_hash
        kind = self.source.session(0, 0).asks[0].kind
        windows = windows_of(self.seen.config_file, kind)
        cell.batching = Batching(configured={**windows, **cell.settings}, engine_seats=dict(self.seen.seats))
        if run.cache == "cold":
            cell.salt, run.emptied_by = token_hex(4), await self._empty()
        elif run.cache == AS_FOUND and not isinstance(self.source, PromptLoad):
            cell.salt = digest_of(cell.id.encode())[:8]  # cells do not warm each other; a run made again is the same
        labels = Labels(
            servers={side: target.server for side, target in self.seen.targets.items()},
            hardware=self.options.hardware,
            other_hardware=run.hardware,
            precision=cell.settings.get("precision", self.options.precision),
            batch_window_ms=window_ms(windows, chosen.settings),
        )
        cell.started = cell.started or timestamp(time())
        recorder.save()
        self.progress.begins(cell, len(self.options.urls), f" ({run.cache})" if run.cache != AS_FOUND else "")
        requests, finished = await self._load(recorder, self._spec(run, cell, chosen, before), labels)
        requests = [*before, *requests]
        conclude(cell, requests, finished, timestamp(time()))
        if self.options.is_paired:
            run.comparisons = [one for one in run.comparisons if one.cell != cell.id]
            run.comparisons += comparisons(cell.id, requests, chosen.seed)
        recorder.save()
        self.progress.ends()
        for note in [*cell.notes, *([cell.client.why] if cell.client.bottleneck else [])]:
            self.progress.say(f"note: {note}")
        if self.options.is_paired and not self.interrupted and chosen.seed == self.options.seeds[0]:
            await self._aa(recorder, cell, chosen, labels)

    async def _empty(self) -> str:
        """Kept answers, too, though no prompt is one of before."""
        if self.seen.admin is None:
            return "unseen prefixes"
        try:
            emptied = await self.seen.admin.empty_cache()
        except AdminError as error:
            self.progress.say(f"note: {error}")
            emptied = False
        return "admin API, unseen prefixes" if emptied else "unseen prefixes"

    def _spec(self, run: RunFile, cell: Cell, chosen: Combination, before: Sequence[Measured]) -> LoadSpec:
        options = self.options
        done: dict[Side, list[int]] = {side: [] for side in options.urls} if before else {}
        for one in before:
            done[one.detail.side].append(one.detail.index)
        clients = chosen.arrivals.concurrency or WARMUP
        return LoadSpec(
            cell=cell.id,
            workload=list(options.workload),
            seed=chosen.seed,
            arrivals=chosen.arrivals,
            targets={side: self.seen.spec(options, side, chosen.model, cell.salt) for side in options.urls},
            requests=cell.planned,
            duration_s=_left_s(cell, before),
            warmup=clients if options.warmup is None else options.warmup,
            fills_caches=run.cache == "warm",
            cancel=options.cancel,
            timeout_s=options.timeout_s,
            tokenizer=options.tokenizer,
            keeps_text=options.keeps_text,
            asks_stages=options.asks_stages,
            done=done,
        )

    async def _load(self, recorder: Recorder, spec: LoadSpec, labels: Labels) -> tuple[list[Measured], Finished | None]:
        requests: list[Measured] = []
        finished: Finished | None = None
        child = self._child = Child(spec)
        try:
            async with aclosing(child.told()) as all_told:
                async for told in all_told:
                    if isinstance(told, Sample):
                        requests.append(recorder.take(told, labels))
                        self.served += told.row.success
                        self.progress.take(requests[-1])
                    elif isinstance(told, Beat):
                        self.progress.take(told)
                    else:
                        finished = told
        except ChildError as error:
            if self.interrupted:
                return requests, None
            raise RunError(f"{error}; {len(requests)} requests of this cell are kept, --resume goes on") from None
        finally:
            self._child = None
        return requests, finished

    async def _aa(self, recorder: Recorder, cell: Cell, chosen: Combination, labels: Labels) -> None:
        """The proxy against itself: what is seen between two equal targets is noise."""
        run, options = recorder.run, self.options
        least, most = _AA_PAIRS
        pairs = min(most, max(least, (cell.planned or cell.done // 2) // 4)) if options.aa is None else options.aa
        if not pairs or any(one.cell == cell.id for one in run.aa):
            return
        folder = options.folder(run.cache) / AA
        folder.mkdir(exist_ok=True)
        same = self.seen.targets["url"]
        twin = cell.model_copy(update={"planned": pairs, "duration_s": None, "complete": False, "notes": []})
        there = read_run_file(folder) if (folder / run_file.FILE).exists() else None
        own = there or run.model_copy(
            update={"targets": {"url": same, "direct": same}, "cells": [], "comparisons": [], "aa": [], "notes": []}
        )
        own.cells.append(twin)
        spec = self._spec(run, twin, chosen, [])
        url = spec.targets["url"]
        salted = {side: url.model_copy(update={"salt": one.salt}) for side, one in spec.targets.items()}
        aside = Recorder(folder, own, self.seen.gauges)
        try:
            self.progress.begins(twin, 2, " (A/A: the target against itself)", counts=False)
            servers: dict[Side, str] = {"url": same.server, "direct": same.server}
            labels = replace(labels, servers=servers)
            update = {"targets": salted, "requests": pairs, "duration_s": None, "done": {}, "warmup": 0}
            requests, finished = await self._load(aside, spec.model_copy(update=update), labels)
            conclude(twin, requests, finished, timestamp(time()))
            found = comparisons(cell.id, requests, chosen.seed)
            own.comparisons, own.complete = [*own.comparisons, *found], twin.complete
            run.aa = [*run.aa, *found]
            self.progress.ends()
            aside.save()
            recorder.save()
        finally:
            aside.close()


async def bench(options: Options, progress: Progress) -> tuple[Bench, list[RunFile]]:
    """A whole run. Raises RunError, TargetError, ReconfigureError, BadFileError, SweepError, OSError."""
    source = source_of(list(options.workload))
    for state in options.caches:
        check_free(options.folder(state), options)
    seen = await survey(options, source.session(options.seeds[0], 0).asks[0].kind)
    reconfigurer = None
    if any(axis.key != MODEL for axis in options.axes):
        if seen.admin is None or seen.config_file is None:
            raise TargetError(
                "a sweep of the proxy's options changes its file and reads it anew: that needs its admin port"
                " (--admin URL) and the file that it has read, on this machine;"
                f" {'; '.join(seen.notes) or 'it is not here'}"
            )
        reconfigurer = Reconfigurer(seen.admin, seen.config_file, seen.gauges.facts)
    one = Bench(options, progress, source, seen, reconfigurer)
    loop = asyncio.get_running_loop()
    for number in _ENDS:
        loop.add_signal_handler(number, one.interrupt)
    try:
        return one, await one.run()
    finally:
        for number in _ENDS:
            loop.remove_signal_handler(number)


def _left_s(cell: Cell, before: Sequence[Measured]) -> float | None:
    """Of a cell that goes by time."""
    if cell.duration_s is None or not before:
        return cell.duration_s
    first, last = (pick(one.detail.intended_at for one in before) for pick in (min, max))
    return max(0.0, cell.duration_s - (last - first))
