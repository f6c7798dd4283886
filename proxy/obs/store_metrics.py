"""Files and batches as metrics. Owns names and help texts."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from proxy.model.batch import BatchesView, BatchState
from proxy.obs.families import counter, counters, gauge, gauges


def store_families(view: BatchesView) -> Iterator[Metric]:
    """All series."""
    yield gauges(
        "tidegate_batches",
        "Batches in each state, those that ended as long as store.keep.",
        ("state",),
        [((state.value,), view.states.get(state.value, 0)) for state in BatchState],
    )
    yield gauges(
        "tidegate_batch_lines",
        "Lines of batches without a result: queued on the disk, or running (on an engine, or in line for one).",
        ("state",),
        [(("queued",), view.queued), (("running",), view.running)],
    )
    yield counters(
        "tidegate_batch_lines_ended",
        "Lines that have their result: done, failed.",
        ("result",),
        [(("done",), view.done), (("failed",), view.failed)],
    )
    yield counter(
        "tidegate_batch_lines_retried",
        "Attempts at a line at which an engine failed, and others followed.",
        view.retried,
    )
    yield counters(
        "tidegate_batch_tokens",
        "Tokens of lines that have their result: prompt, completion.",
        ("direction",),
        [(("prompt",), view.prompt_tokens), (("completion",), view.completion_tokens)],
    )
    yield gauge(
        "tidegate_batch_oldest_seconds", "Age of the oldest batch that has not ended; 0: there is none.", view.oldest_s
    )
    etas = [one.eta_s for one in view.batches if one.eta_s is not None]
    text = "Until the last batch that runs will be done, by its pace; 0: none runs, or nobody knows yet."
    yield gauge("tidegate_batch_eta_seconds", text, max(etas, default=0.0))
    text = "How far such forecasts were off, of the last batches that were done, as a share of the time that was left."
    yield gauge("tidegate_batch_eta_error_ratio", text, view.eta_error or 0.0)
    yield gauge(
        "tidegate_store_paused",
        "1: the disk of the store, or its budget, is full, and batches pause.",
        float(view.is_paused),
    )
    yield gauge("tidegate_store_files", "Files that are kept.", view.files)
    yield gauge("tidegate_store_bytes", "Files and results on the disk.", view.used_b)
    yield gauge("tidegate_store_limit_bytes", "What they may take at most (store.size).", view.size_b)
