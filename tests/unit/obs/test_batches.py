"""What is counted of windows and shared calls: a call with its first job, what it saves with the others."""

from prometheus_client.metrics_core import Metric

from proxy.model.windows import Closed, Company
from proxy.obs.batches import Batches
from proxy.wire.usage import Usage
from tests.unit.obs.records import record

KEY = ("embeddings", "interactive", "a")


def values(batches: Batches, name: str, **labels: str) -> list[float]:
    families: list[Metric] = list(batches.families())
    return [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def counted(*companies: Company) -> Batches:
    batches = Batches()
    for company in companies:
        batches.count(KEY, company, record(usage=Usage(5, None, None)))
    return batches


def test_three_that_went_as_one() -> None:
    batches = counted(*(Company(3, i == 0, Closed.AGE, 0.001 * i) for i in range(3)))
    assert values(batches, "tidegate_batch_jobs_bucket", le="2.0") == [0]
    assert values(batches, "tidegate_batch_jobs_bucket", le="4.0") == [1]
    assert values(batches, "tidegate_batch_jobs_sum") == [3]
    assert values(batches, "tidegate_window_seconds_count") == [3]
    assert values(batches, "tidegate_windows_closed_total", reason="age") == [1]
    assert values(batches, "tidegate_calls_saved_total", how="merged") == [2]
    assert values(batches, "tidegate_merged_tokens_total") == [15]


def test_one_that_waited_in_vain_saves_nothing() -> None:
    batches = counted(Company(1, True, Closed.AGE, 0.01))
    assert values(batches, "tidegate_batch_jobs_bucket", le="1.0") == [1]
    assert values(batches, "tidegate_calls_saved_total") == [0, 0]
    assert values(batches, "tidegate_merged_tokens_total") == [0]


def test_who_joins_what_is_out_saves_a_call() -> None:
    batches = counted(Company(1, True), Company(1, False, joins=True))
    assert values(batches, "tidegate_batch_jobs_sum") == [1]
    assert values(batches, "tidegate_calls_saved_total", how="shared") == [1]
    assert values(batches, "tidegate_window_seconds_count") == [0]
