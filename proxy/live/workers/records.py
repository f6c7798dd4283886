"""The Record of a request that another worker served, as a plain tuple and again as a Record: it is counted, logged and
shown where all are.

Owns that form. The job is not in it: the decider has it. A trace stays with the worker that sends it.
"""

from functools import lru_cache
from typing import Final

from proxy.core.tenancy.classify import Classified, TrafficClass
from proxy.live.workers.codec import Plain, fault_of, fault_told
from proxy.model.classes import NOTHING_PROMISED, ClassSettings, Promise
from proxy.model.outcome import SERVED, Outcome, Verdict
from proxy.model.request import Job
from proxy.model.timeline import Timeline
from proxy.model.timings import Reported, Stage
from proxy.model.windows import Closed, Company
from proxy.obs.record import Record
from proxy.wire.meter import Meter
from proxy.wire.usage import Usage

_CLASSES: Final = 64
"""Of which something is remembered: more than a file can name."""


def record_told(record: Record) -> Plain:
    """All that is told of it elsewhere than in traces."""
    outcome, line, promise, job = record.outcome, record.timeline, record.promise, record.job
    company, classified = record.company, record.classified
    return (
        0 if job is None else job.id,
        record.id,
        record.method,
        record.path,
        record.endpoint,
        record.traffic_class,
        record.model_asked,
        record.model_served,
        record.backend,
        record.attempts,
        record.status,
        record.stream,
        record.body_bytes,
        None if outcome is SERVED else _outcome_told(outcome),
        _line_told(line),
        tuple(record.usage),
        record.token_source,
        record.meter.told() if record.meter.first_token is not None else None,
        record.resumed,
        record.fallback,
        record.hedge,
        None if company is None else _company_told(company),
        None if promise is NOTHING_PROMISED else tuple(promise),
        record.tenant,
        record.client,
        record.cache,
        record.prompt_version,
        record.model,
        record.is_constrained,
        record.expected_prompt,
        record.in_flight,
        record.reason,
        None if classified is None else (classified.by, classified.rule, classified.priority),
        record.truncated,
    )


def record_of(told: Plain, job: Job | None) -> Record:
    """The same again. `job`: of the id that `told` begins with; None: it is not known here."""
    (
        _,
        request_id,
        method,
        path,
        endpoint,
        traffic_class,
        model_asked,
        model_served,
        backend,
        attempts,
        status,
        stream,
        body_bytes,
        outcome,
        line,
        usage,
        token_source,
        meter,
        resumed,
        fallback,
        hedge,
        company,
        promise,
        tenant,
        client,
        cache,
        prompt_version,
        model,
        is_constrained,
        expected_prompt,
        in_flight,
        reason,
        classified,
        truncated,
    ) = told
    return Record(
        id=request_id,
        method=method,
        path=path,
        endpoint=endpoint,
        traffic_class=traffic_class,
        model_asked=model_asked,
        model_served=model_served,
        backend=backend,
        attempts=attempts,
        status=status,
        stream=stream,
        body_bytes=body_bytes,
        outcome=SERVED if outcome is None else _outcome_of(outcome),
        timeline=_line_of(line),
        usage=Usage(*usage),
        token_source=token_source,
        meter=Meter() if meter is None else Meter.again(meter),
        resumed=resumed,
        fallback=fallback,
        hedge=hedge,
        company=None if company is None else _company_of(company),
        promise=NOTHING_PROMISED if promise is None else Promise(*promise),
        tenant=tenant,
        client=client,
        cache=cache,
        prompt_version=prompt_version,
        model=model,
        is_constrained=is_constrained,
        expected_prompt=expected_prompt,
        in_flight=in_flight,
        reason=reason,
        job=job,
        classified=None if classified is None else Classified(_class_named(traffic_class), *classified),
        truncated=truncated,
    )


@lru_cache(_CLASSES)
def _class_named(name: str) -> TrafficClass:
    """Its name is all that anybody asks of it afterwards."""
    return TrafficClass(ClassSettings(name=name))


def _outcome_told(outcome: Outcome) -> Plain:
    fault = outcome.fault
    return outcome.verdict.value, outcome.end_code, None if fault is None else fault_told(fault)


def _outcome_of(told: Plain) -> Outcome:
    verdict, end_code, fault = told
    return Outcome(Verdict(verdict), end_code, None if fault is None else fault_of(fault))


def _company_told(company: Company) -> Plain:
    closed = company.closed
    return company.jobs, company.leads, None if closed is None else closed.value, company.waited_s, company.joins


def _company_of(told: Plain) -> Company:
    jobs, leads, closed, waited_s, joins = told
    return Company(jobs, leads, None if closed is None else Closed(closed), waited_s, joins)


def _line_told(line: Timeline) -> Plain:
    reported = line.reported
    return (
        line.received,
        line.understood,
        line.gathered,
        line.is_from_memory,
        line.released,
        line.connected,
        line.first_byte,
        line.last_byte,
        line.answered,
        line.checked,
        line.repaired_s,
        line.done,
        None if reported is None else _reported_told(reported),
    )


def _line_of(told: Plain) -> Timeline:
    line = Timeline(told[0])
    (
        _,
        line.understood,
        line.gathered,
        line.is_from_memory,
        line.released,
        line.connected,
        line.first_byte,
        line.last_byte,
        line.answered,
        line.checked,
        line.repaired_s,
        line.done,
        reported,
    ) = told
    if reported is not None:
        line.reported = _reported_of(reported)
    return line


def _reported_told(reported: Reported) -> Plain:
    return {name: tuple(stage) for name, stage in reported.stages.items()}, dict(reported.ignored)


def _reported_of(told: Plain) -> Reported:
    stages, ignored = told
    return Reported({name: Stage(*stage) for name, stage in stages.items()}, ignored)
