"""Files and batches as metrics."""

from proxy.model.batch import BatchesView, BatchView
from proxy.obs.store_metrics import store_families

VIEW = BatchesView({"completed": 2}, 7, 3, 11, 1, 4, 100, 200, 60.0, 5, 1000, 2000, True, 0.25)
ONE = BatchView("b", "t", "in_progress", "/v1/x", "m", 20, 9, 1, 3, 600.0, 50.0)


def samples(view: BatchesView) -> dict[tuple[str, ...], float]:
    found = [sample for family in store_families(view) for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in found}


def test_every_number_is_told_and_states_that_nobody_is_in_too() -> None:
    told = samples(VIEW._replace(batches=(ONE, ONE._replace(eta_s=None))))
    assert told["tidegate_batches", "completed"] == 2
    assert told["tidegate_batches", "in_progress"] == 0
    assert told["tidegate_batch_lines", "queued"] == 7
    assert told["tidegate_batch_lines_ended_total", "failed"] == 1
    assert told["tidegate_batch_lines_retried_total",] == 4
    assert told["tidegate_batch_tokens_total", "completion"] == 200
    assert told["tidegate_batch_eta_seconds",] == 50
    assert told["tidegate_batch_eta_error_ratio",] == 0.25
    assert (told["tidegate_store_paused",], told["tidegate_store_bytes",], told["tidegate_store_limit_bytes",]) == (
        1,
        1000,
        2000,
    )


def test_nothing_is_known_yet() -> None:
    told = samples(VIEW._replace(eta_error=None))
    assert told["tidegate_batch_eta_seconds",] == told["tidegate_batch_eta_error_ratio",] == 0
