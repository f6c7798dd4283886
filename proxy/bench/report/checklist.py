"""What a benchmark has to say for its numbers to mean anything, and what of it is missing here."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from proxy.bench.percentiles import least_n
from proxy.bench.promise import Promise
from proxy.bench.report.inputs import Inputs
from proxy.bench.run_file import Cell, Comparison, RunFile

_LEAST_P99: Final = least_n(0.99)


class Item(NamedTuple):
    """One line of the list."""

    name: str
    said: str
    """What is known; what is missing, and how to have it, where it is not."""
    is_there: bool


def checklist(inputs: Inputs, promise: Promise) -> list[Item]:
    """All of it, in the order in which a reader asks."""
    runs = [source.run for source in inputs.sources if source.run]
    alone = [str(source.path) for source in inputs.sources if not source.run]
    items = [_hardware(inputs), _model(inputs), _load(runs, alone), _batching(runs, alone), _cache(runs, alone)]
    items += [_percentiles(inputs), _slo(promise), _tokens(runs), _client(runs), _aa(runs), _versions(runs)]
    return [*items, *_notes(inputs, runs)]


def _hardware(inputs: Inputs) -> Item:
    if not all(one.conditions.hardware for one in inputs.series):
        return Item("Hardware", "missing: bench --hardware 'GPU, CPU, memory' says it", False)
    said = "; ".join(inputs.machines)
    return Item("Hardware", f"DIFFERENT MACHINES: {said}" if len(inputs.machines) > 1 else said, True)


def _model(inputs: Inputs) -> Item:
    models = _unique(one.conditions.model for one in inputs.series)
    precisions = _unique(one.conditions.precision for one in inputs.series)
    is_there = all(one.conditions.precision and one.conditions.model for one in inputs.series)
    said = f"{', '.join(models) or 'missing'}; precision {', '.join(precisions) or 'missing'}"
    if precisions and not is_there:
        said += ", missing of some"
    return Item("Model and precision", said if is_there else f"{said}: bench --precision says it", is_there)


def _load(runs: Sequence[RunFile], alone: Sequence[str]) -> Item:
    told = _unique(f"{run.workload}, {_arrivals(cell)}, seed {run.seed}" for run in runs for cell in run.cells)
    if alone:
        told.append(f"missing of {', '.join(alone)}: a CSV alone does not say")
    return Item("Load", "; ".join(told) or "missing", bool(runs) and not alone)


def _arrivals(cell: Cell) -> str:
    arrivals = cell.arrivals
    if arrivals.process == "closed":
        return f"closed loop, {arrivals.concurrency or '?'} at once"
    rate = f" {arrivals.rate_per_s:g}/s" if arrivals.rate_per_s is not None else ""
    return f"open loop, {arrivals.process}{rate}"


def _batching(runs: Sequence[RunFile], alone: Sequence[str]) -> Item:
    policies = [cell.batching for run in runs for cell in run.cells]
    told = _unique(", ".join(f"{name}: {value}" for name, value in one.configured.items()) for one in policies)
    told += _unique(f"{name} computes {count} at once" for one in policies for name, count in one.engine_seats.items())
    told += _unique(
        "measured: " + ", ".join(f"{count:,} in calls of {size}" for size, count in one.sizes.items())
        for one in policies
        if one.sizes
    )
    if told and not alone:
        return Item("Batching policy", "; ".join(told), True)
    return Item("Batching policy", "; ".join([*told, "missing: the target does not tell it"]), False)


def _cache(runs: Sequence[RunFile], alone: Sequence[str]) -> Item:
    told = _unique(run.cache + (f", by {run.emptied_by}" if run.emptied_by else "") for run in runs)
    is_there = bool(told) and not alone and all(run.cache != "as found" for run in runs)
    return Item("Warm or cold", "; ".join(told or ["missing"]) + ("" if is_there else ": bench --cache both"), is_there)


def _percentiles(inputs: Inputs) -> Item:
    few = sum(one.served < _LEAST_P99 for one in inputs.series)
    if not few:
        return Item("Percentiles", f"P50, P95, P99 with n and 95 % ranges; n ≥ {_LEAST_P99} everywhere", True)
    said = f"P99 missing for {few} of {len(inputs.series)} series: n < {_LEAST_P99} (bench --requests)"
    return Item("Percentiles", said, False)


def _slo(promise: Promise) -> Item:
    if promise.is_any:
        return Item("Constraints", f"good is what keeps {promise}", True)
    return Item("Constraints", "missing: no SLO; --slo ttft=500ms,tpot=50ms says it", False)


def _tokens(runs: Sequence[RunFile]) -> Item:
    sums: dict[str, int] = {}
    for run in runs:
        for source, count in run.tokens_sources.items():
            sums[source] = sums.get(source, 0) + count
    words = {"usage": "the server", "tokenizer": "a tokenizer here", "events": "one event taken for one token"}
    said = ", ".join(f"{words.get(source, 'nobody')}: {count:,}" for source, count in sorted(sums.items()))
    return Item("Who counted tokens", said or "missing", bool(sums) and set(sums) <= {"usage", "tokenizer"})


def _client(runs: Sequence[RunFile]) -> Item:
    cells = [cell for run in runs for cell in run.cells]
    if not cells:
        return Item("Load generator", "missing", False)
    guilty = [f"{cell.id}: {cell.client.why or 'it was'}" for cell in cells if cell.client.bottleneck]
    if guilty:
        return Item("Load generator", f"IT WAS THE BOTTLENECK: {'; '.join(guilty)}", False)
    lag = max(cell.client.lag_p99_ms for cell in cells)
    cpu = max(cell.client.cpu for cell in cells)
    return Item("Load generator", f"not the bottleneck: lag P99 at most {lag:.1f} ms, CPU at most {cpu:.0%}", True)


def _aa(runs: Sequence[RunFile]) -> Item:
    found = [one for run in runs for one in run.aa]
    if not found:
        return Item("A/A", "missing: no target was compared with itself (bench --direct)", False)
    if apart := _unique(one.cell for one in found if _excludes_zero(one)):
        return Item("A/A", f"DIFFERS FROM ITSELF in {', '.join(apart)}", False)
    return Item("A/A", "the target does not differ from itself: every interval contains zero", True)


def _excludes_zero(comparison: Comparison) -> bool:
    return any(
        one.low is not None and one.high is not None and (one.low > 0 or one.high < 0)
        for one in comparison.differences.values()
    )


def _versions(runs: Sequence[RunFile]) -> Item:
    told = []
    for run in runs:
        parts = [f"{name} {version}" for name, version in run.versions.items()]
        parts += [f"source {run.git[:12]}"] if run.git else []
        parts += [f"configuration {run.config_hash[:12]}"] if run.config_hash else []
        told.append(", ".join(parts))
    said = "; ".join(_unique(told))
    return Item("Versions", said or "missing", bool(said))


def _notes(inputs: Inputs, runs: Sequence[RunFile]) -> list[Item]:
    unfinished = [
        f"{source.path} was not finished" for source in inputs.sources if source.run and not source.run.complete
    ]
    repeated = _repeated(inputs)
    noted = _unique(note for run in runs for note in [*run.notes, *(note for cell in run.cells for note in cell.notes)])
    told = [*unfinished, *repeated, *noted]
    return [Item("Notes", "; ".join(told), not unfinished)] if told else []


def _repeated(inputs: Inputs) -> list[str]:
    """Seeds that were used again under the same conditions: those runs are no independent repetitions."""
    used = Counter(
        (source.run.seed, one.conditions) for source in inputs.sources if source.run for one in source.series
    )
    return _unique(
        f"seed {seed} was used {count} times under the same conditions: that is one measurement, not {count}"
        for (seed, _), count in used.items()
        if count > 1
    )


def _unique(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
