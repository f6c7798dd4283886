"""Jobs, commands and reports as plain tuples, which `marshal` takes: the words between a worker and the decider.

Owns their order and nothing else. Both ends are the same program (`link` sees to that), so that no word has a version.
What `marshal` refuses (enums, named tuples, classes) becomes its plain value here and is made again at the other end.
"""

from typing import Any, Final

from proxy.model.abilities import NOTHING_NEEDED, Cannot, Lack
from proxy.model.commands import (
    Abort,
    Command,
    Dispatch,
    Failed,
    Finished,
    FirstByte,
    FirstToken,
    Part,
    Reason,
    Refuse,
    Refused,
    Remaining,
)
from proxy.model.endpoint import Endpoint
from proxy.model.fallback import FallbackStep
from proxy.model.faults import Blame, Fault, Kind, Retry, Source
from proxy.model.hedge import Hedge
from proxy.model.request import Job
from proxy.model.windows import Closed, Gathered, Window

Plain = tuple[Any, ...]
AttemptReport = Finished | Failed | FirstByte | FirstToken | Refused | Remaining

_ENDPOINTS: Final = {one.value: one for one in Endpoint}
_NOBODY: Final[frozenset[str]] = frozenset()
FINISHED: Final = 1
FAILED: Final = 2
FIRST_BYTE: Final = 3
FIRST_TOKEN: Final = 4
REFUSED: Final = 5
REMAINING: Final = 6
_DISPATCH: Final = 1
_REFUSE: Final = 2
_ABORT: Final = 3


# --- jobs


def job_told(job: Job) -> Plain:
    """All of it but `metered`, which is told with its end."""
    gather, hedge, needs = job.gather, job.hedge, job.needs
    return (
        job.id,
        job.model,
        job.endpoint.value,
        job.stream,
        job.body_bytes,
        job.max_tokens,
        job.deadline,
        job.arrived,
        job.traffic_class,
        job.tenant,
        job.bulk,
        job.priority,
        job.demotable,
        job.slo_ttft_s,
        job.slo_tpot_s,
        job.prompt_tokens,
        job.prefix,
        job.prefix_block_tokens,
        job.constrained,
        job.require,
        job.prefer,
        tuple([_step_told(step) for step in job.fallbacks]) if job.fallbacks else (),
        None if hedge is None else tuple(hedge),
        job.done_by,
        tuple([lack.value for lack in needs]) if needs else (),
        job.session,
        None if gather is None else tuple(gather),
        job.window,
        job.items,
        job.same,
        job.is_free,
        job.yields_until,
    )


def job_of(told: Plain, apart: bytes = b"") -> Job:
    """The same again. `apart`: put before what it is merged by, so that it goes only with jobs that have the same."""
    (
        job_id,
        model,
        endpoint,
        stream,
        body_bytes,
        max_tokens,
        deadline,
        arrived,
        traffic_class,
        tenant,
        bulk,
        priority,
        demotable,
        slo_ttft_s,
        slo_tpot_s,
        prompt_tokens,
        prefix,
        prefix_block_tokens,
        constrained,
        require,
        prefer,
        fallbacks,
        hedge,
        done_by,
        needs,
        session,
        gather,
        window,
        items,
        same,
        is_free,
        yields_until,
    ) = told
    return Job(
        job_id,
        model,
        endpoint=_ENDPOINTS[endpoint],
        stream=stream,
        body_bytes=body_bytes,
        max_tokens=max_tokens,
        deadline=deadline,
        arrived=arrived,
        traffic_class=traffic_class,
        tenant=tenant,
        bulk=bulk,
        priority=priority,
        demotable=demotable,
        slo_ttft_s=slo_ttft_s,
        slo_tpot_s=slo_tpot_s,
        prompt_tokens=prompt_tokens,
        prefix=prefix,
        prefix_block_tokens=prefix_block_tokens,
        constrained=constrained,
        require=require or _NOBODY,
        prefer=prefer or _NOBODY,
        fallbacks=tuple([_step_of(step) for step in fallbacks]) if fallbacks else (),
        hedge=None if hedge is None else Hedge(*hedge),
        done_by=done_by,
        needs=frozenset([Lack(lack) for lack in needs]) if needs else NOTHING_NEEDED,
        session=session,
        gather=None if gather is None else Window(*gather),
        window=None if window is None else apart + window,
        items=items,
        same=None if same is None else apart + same,
        is_free=is_free,
        yields_until=yields_until,
    )


def _step_told(step: FallbackStep) -> Plain:
    return step.model, step.require, step.said, step.on


def _step_of(told: Plain) -> FallbackStep:
    return FallbackStep(*told)


# --- faults


def fault_told(fault: Fault) -> Plain:
    """All of it."""
    return (
        fault.source.value,
        fault.kind.value,
        fault.message,
        fault.retry.value,
        fault.param,
        fault.code,
        fault.retry_after_s,
        fault.blame.value,
    )


def fault_of(told: Plain) -> Fault:
    """The same again."""
    source, kind, message, retry, param, code, retry_after_s, blame = told
    return Fault(Source(source), Kind(kind), message, Retry(retry), param, code, retry_after_s, Blame(blame))


# --- commands


def command_told(command: Command) -> Plain:
    """All of it."""
    if isinstance(command, Dispatch):
        way, gathered = command.way, command.gathered
        return (
            _DISPATCH,
            command.jobs,
            command.backend,
            command.attempt,
            command.number,
            command.hedge,
            command.held_s,
            None if way is None else _step_told(way),
            None if gathered is None else (gathered.closed.value, gathered.waits_s),
            command.in_flight,
            command.ttft_s,
        )
    if isinstance(command, Refuse):
        reason = command.reason
        return _REFUSE, command.job_id, fault_told(command.fault), None if reason is None else reason.value
    return _ABORT, command.jobs, command.attempt, command.backend


def command_of(told: Plain, first_attempt: int) -> Command:
    """The same again, with attempts that are called `first_attempt` and more."""
    what = told[0]
    if what == _DISPATCH:
        _, jobs, backend, attempt, number, hedge, held_s, way, gathered, in_flight, ttft_s = told
        return Dispatch(
            jobs,
            backend,
            first_attempt + attempt,
            number,
            hedge,
            held_s,
            None if way is None else _step_of(way),
            None if gathered is None else Gathered(Closed(gathered[0]), gathered[1]),
            in_flight,
            ttft_s,
        )
    if what == _REFUSE:
        reason = told[3]
        return Refuse(told[1], fault_of(told[2]), None if reason is None else Reason(reason))
    return Abort(told[1], first_attempt + told[2], told[3])


# --- reports on attempts


def report_told(report: AttemptReport, attempt: int) -> Plain:
    """All of it; `attempt`: as the other end calls it."""
    if isinstance(report, FirstToken):
        return FIRST_TOKEN, attempt
    if isinstance(report, FirstByte):
        return FIRST_BYTE, attempt
    if isinstance(report, Finished):
        return (
            FINISHED,
            attempt,
            report.prompt_tokens,
            report.cached_tokens,
            report.output_tokens,
            report.ok,
            tuple([tuple(part) for part in report.parts]) if report.parts else (),
            report.missing,
            report.calls,
            report.refused,
            report.cut,
        )
    if isinstance(report, Failed):
        fault = fault_told(report.fault)
        return FAILED, attempt, fault, report.repeatable, report.culprits, report.too_many, report.cap
    if isinstance(report, Refused):
        return REFUSED, attempt, report.cannot.lack.value, report.cannot.limit
    return (
        REMAINING,
        attempt,
        report.requests,
        report.requests_reset_s,
        report.requests_limit,
        report.tokens,
        report.tokens_reset_s,
        report.tokens_limit,
    )


def report_of(told: Plain) -> AttemptReport:
    """The same again."""
    what = told[0]
    if what == FIRST_TOKEN:
        return FirstToken(told[1])
    if what == FIRST_BYTE:
        return FirstByte(told[1])
    if what == FINISHED:
        _, attempt, prompt, cached, output, ok, parts, missing, calls, refused, cut = told
        whole = tuple([Part(*part) for part in parts]) if parts else ()
        return Finished(attempt, prompt, cached, output, ok, whole, missing, calls, refused, cut=cut)
    if what == FAILED:
        _, attempt, fault, repeatable, culprits, too_many, cap = told
        return Failed(attempt, fault_of(fault), repeatable, culprits, too_many, cap)
    if what == REFUSED:
        return Refused(told[1], Cannot(Lack(told[2]), told[3]))
    return Remaining(*told[1:])
