"""A Record that another worker made says here what it says there: the same line in the log, the same counts."""

import marshal
from typing import Any

import pytest

from proxy.core.tenancy.classify import Classified, TrafficClass
from proxy.live.workers.records import record_of, record_told
from proxy.model.classes import ClassSettings, Promise
from proxy.model.engine_facts import UNKNOWN
from proxy.model.faults import Kind, upstream
from proxy.model.outcome import Phase, failed_with
from proxy.model.request import Job
from proxy.model.timings import Reported, Stage
from proxy.model.windows import Closed, Company
from proxy.obs.access_log import line_of
from proxy.obs.csv_log import CsvRows
from proxy.obs.decision import detail
from proxy.obs.record import Record
from proxy.wire.event import Event
from proxy.wire.meter import Meter
from proxy.wire.usage import Usage
from tests.support.attributes import attributes_of
from tests.unit.obs.records import record, timeline


def packed() -> Meter:
    """A stream whose events hold several tokens."""
    meter = Meter()
    meter.saw(Event(b'data: {"choices":[{"text":"a"}]}\n\n'), 1.0, 3)
    meter.saw(Event(b'data: {"choices":[{"text":"b"}]}\n\n'), 1.5, 5)
    return meter


FULL: dict[str, Any] = {
    "outcome": failed_with(upstream(Kind.CUT, "it broke"), Phase.STREAM),
    "timeline": timeline(reported=Reported({"retrieval": Stage(2.5, 1, 2)}, {"name": 1}), gathered=100.0),
    "meter": packed(),
    "company": Company(3, True, Closed.FULL, 0.1, True),
    "promise": Promise(0.2, 0.1),
    "resumed": 1,
    "fallback": "model:x",
    "hedge": "won",
    "cache": "miss",
    "prompt_version": "p@1",
    "model": "m",
    "is_constrained": True,
    "expected_prompt": 4,
    "in_flight": 2,
    "reason": "ttft",
    "classified": Classified(TrafficClass(ClassSettings(name="interactive")), "rule", 2, 1),
    "truncated": "prompt",
}


def carried(one: Record, job: Job | None = None) -> Record:
    told: tuple[Any, ...] = marshal.loads(marshal.dumps(record_told(one)))
    return record_of(told, job)


@pytest.mark.parametrize("fields", [{}, FULL, {"meter": Meter(), "usage": Usage()}])
def test_it_is_told_as_it_was(fields: dict[str, Any]) -> None:
    one = record(**fields)
    same = carried(one)
    for form in ("text", "json"):
        assert line_of(form)(same, 5.0) == line_of(form)(one, 5.0)
    rows = CsvRows(lambda *_: UNKNOWN)
    assert rows.row(same, 5.0) == rows.row(one, 5.0)
    assert detail(1, same, 200.0, 300.0) == detail(1, one, 200.0, 300.0)


def test_gaps_are_counted_as_there() -> None:
    one = record(**FULL)
    same = carried(one)
    for name in ("event_gaps", "_token_gaps"):
        there, here = getattr(one.meter, name, None), getattr(same.meter, name, None)
        if there is not None:
            assert here is not None
            assert here.told() == there.told()
    assert same.meter.tokens == 8


def test_its_job_is_the_one_that_is_known_here() -> None:
    job = Job(5, "m")
    one = record(job=job)
    assert record_told(one)[0] == 5
    assert carried(one, job).job is job
    assert carried(record()).job is None


def test_every_field_is_told() -> None:
    """All but the trace, which stays; the job is named by its id, and first."""
    names = [name for name in attributes_of(Record) if name not in ("trace", "exemplar", "is_from_memory", "warmth")]
    assert len(record_told(record())) == len(names)
