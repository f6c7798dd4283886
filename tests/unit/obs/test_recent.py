"""The last requests: how many are kept, of which kind, and how one is found again."""

import pytest

from proxy.model.faults import Kind, internal
from proxy.model.outcome import Phase, failed_with
from proxy.model.request import Job
from proxy.obs.recent import MOST, MOST_NOTABLE, Recent, is_notable
from tests.unit.obs.records import record, timeline

REFUSED = failed_with(internal(Kind.QUEUE_FULL, "full"), Phase.QUEUE)


def numbers(found) -> list[int]:
    return [seq for seq, _ in found]


def test_only_jobs_are_kept_and_not_for_ever() -> None:
    recent = Recent()
    recent.add(record())
    assert recent.seq == 0
    for number in range(MOST + 5):
        recent.add(record(job=Job(number, "m")))
    assert recent.seq == MOST + 5
    assert numbers(recent.since(0, 1000)) == list(range(MOST + 5, 5, -1))
    assert numbers(recent.since(MOST + 3, 1000)) == [MOST + 5, MOST + 4]
    assert numbers(recent.since(0, 2)) == [MOST + 5, MOST + 4]
    assert recent.find(5) is None
    assert recent.find(6) is not None


def test_notable_ones_outlive_the_flood() -> None:
    recent = Recent()
    recent.add(record(job=Job(1, "m"), outcome=REFUSED, id="wanted"))
    for number in range(MOST):
        recent.add(record(job=Job(number, "m")))
    assert numbers(recent.since(0, 1000, notable=True)) == [1]
    found = recent.find(request_id="wanted")
    assert found is not None
    assert found[0] == 1
    for number in range(MOST_NOTABLE):
        recent.add(record(job=Job(number, "m"), outcome=REFUSED))
    assert recent.find(request_id="wanted") is None


@pytest.mark.parametrize(
    ("fields", "notable"),
    [
        ({}, False),
        ({"outcome": REFUSED}, True),
        ({"attempts": 2}, True),
        ({"fallback": "model:small"}, True),
        ({"hedge": "won"}, True),
        ({"resumed": 1}, True),
        ({"timeline": timeline(released=100.9)}, True),
        ({"timeline": timeline(released=None)}, False),
    ],
)
def test_notable_is_what_was_decided_against_the_usual(fields, notable) -> None:
    assert is_notable(record(**fields)) == notable


def test_a_long_prompt_is_kept_by_its_beginning() -> None:
    recent, job = Recent(), Job(1, "m", prefix=tuple(range(4096)))
    recent.add(record(job=job))
    (_, kept), *_ = recent.since(0, 1)
    assert kept.job is not None
    assert kept.job.prefix == tuple(range(256))
    assert len(job.prefix) == 4096, "the scheduler's own is as it was"
