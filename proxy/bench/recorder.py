"""Puts what the load generator tells into the files of a run, as it comes.

Owns what is added to a row here: whose hardware and precision it is, how long the batch window was, how much memory the
engine's card had taken; and what is said of a cell when it is over.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from proxy.bench import details, rows
from proxy.bench.details import DetailWriter, Side, digest_of
from proxy.bench.percentiles import rank
from proxy.bench.rows import Row, RowWriter
from proxy.bench.run_file import Batching, Cell, RunFile, write_run_file
from proxy.bench.run_folder import Measured
from proxy.bench.spec import Finished, Sample


@dataclass(slots=True)
class Gauges:
    """What is known of engines meanwhile: backend → facts, and memory taken on its cards, GB."""

    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    memory_gb: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Labels:
    """What rows of a cell say of themselves; empty: as the backend says."""

    servers: dict[Side, str]
    hardware: str = ""
    precision: str = ""
    other_hardware: str = ""
    """Of backends that nobody says anything of."""
    batch_window_ms: float | None = None


class Recorder:
    """One folder. Every method may raise OSError, such as for a full disk."""

    def __init__(self, folder: Path, run: RunFile, gauges: Gauges) -> None:
        self.run, self._folder, self._gauges = run, folder, gauges
        self._rows, self._details = RowWriter(folder / rows.FILE), DetailWriter(folder / details.FILE)
        self.save()

    def save(self) -> None:
        """`run.json` as it stands."""
        write_run_file(self._folder, self.run)

    def take(self, sample: Sample, labels: Labels) -> Measured:
        """One request that is over."""
        row = self._completed(sample, labels)
        self._details.write(sample.detail)
        self._rows.write(row)
        return Measured(row, sample.detail)

    def close(self) -> None:
        """No more requests."""
        self._details.close()
        self._rows.close()

    def _completed(self, sample: Sample, labels: Labels) -> Row:
        backend, side = sample.detail.backend, sample.detail.side
        facts = self._gauges.facts.get(backend, {})
        alloc, reserved = self._gauges.memory_gb.get(backend, (None, None))
        return replace(
            sample.row,
            hardware=labels.hardware or facts.get("hardware") or labels.other_hardware,
            precision=labels.precision or facts.get("precision", ""),
            server=labels.servers[side],
            batch_window_ms=labels.batch_window_ms if side == "url" else None,
            gpu_alloc_gb=alloc,
            gpu_reserved_gb=reserved,
        )


def conclude(cell: Cell, requests: Sequence[Measured], finished: Finished | None, ended: str) -> None:
    """Say in the cell what became of it. `finished`: None: the load generator failed."""
    known = [one.detail for one in requests]
    waits = sorted(one.waited_ms for one in known if one.waited_ms is not None)
    cell.done = len(requests)
    cell.outcomes = dict(Counter(one.outcome for one in known))
    cell.tokens_sources = dict(Counter(one.tokens_source for one in known if one.outcome == "served"))
    digests = {one.index: one.digest for one in known}
    cell.plan_digest = digest_of(*(digests[index].encode() for index in sorted(digests))) if digests else ""
    sizes = Counter(str(one.batch_size) for one in known if one.batch_size is not None)
    cell.batching = Batching(
        configured=cell.batching.configured,
        engine_seats=cell.batching.engine_seats,
        sizes=dict(sorted(sizes.items(), key=lambda item: int(item[0]))),
        waited_p50_ms=_rank(waits, 0.5),
        waited_p99_ms=_rank(waits, 0.99),
    )
    cell.ended = ended
    if finished is not None:
        cell.client, cell.warmup, cell.complete = finished.client, finished.warmup, finished.whole
        cell.notes = list(dict.fromkeys([*cell.notes, *finished.notes]))
    _note(cell, lambda one: one.detail.answer_cache == "hit", requests, "answers came from the proxy's cache")
    _note(cell, lambda one: one.row.success and one.detail.tokens_source == "events", requests,
          "answers had no usage: an event was taken for a token")  # fmt: skip


def _note(cell: Cell, holds: Callable[[Measured], bool], requests: Sequence[Measured], said: str) -> None:
    count = sum(map(holds, requests))
    if count:
        cell.notes = [*(note for note in cell.notes if said not in note), f"{count} of {len(requests)} {said}"]


def _rank(ordered: list[float], share: float) -> float | None:
    return ordered[rank(len(ordered), share) - 1] if ordered else None
