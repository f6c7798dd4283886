"""What a request is to a service level objective: good, bad and why, or no event at all.

    how it ended                                                       an event?  result
    served, no threshold of the objective missed                       yes        good
    served, first token later than `ttft` (streams)                    yes        bad: ttft
    served, time per token above `tpot` (streams)                      yes        bad: tpot
    served, last byte later than `e2e`                                 yes        bad: e2e
    refused: admission, queue full, held too long, no backend,
      draining, bulk for want of memory                                yes        bad: refused
    failed: the backend's fault or ours, also in mid-stream            yes        bad: failed
    the client's own fault (400, 401, 404, 413, …), ours to say
      or the engine's                                                  no
    over its own tenant's quota (429)                                  no
    the client left, or read nothing any more                          no
    no class was known yet (a connection refused, no whole head, no
      memory for the body)                                             no

Answers from memory are events: what counts is what the client got. The first threshold missed, in the order above, is
the reason. A threshold that is met to the point is kept; an answer in one piece has no first token, and can only miss
`e2e`.
"""

from typing import Final

from proxy.model.faults import Kind, Source
from proxy.model.outcome import TUNNELLED, Outcome, Verdict
from proxy.model.slos import ServiceLevelObjective
from proxy.obs.record import Record

GOOD: Final = ""
NO_EVENT: Final = "none"
REFUSED: Final = "refused"
FAILED: Final = "failed"
REASONS: Final = ("ttft", "tpot", "e2e", REFUSED, FAILED)
"""Why an event is bad. Closed: a metric label."""


def ended(outcome: Outcome) -> str:
    """GOOD (so far: thresholds may have been missed), REFUSED, FAILED or NO_EVENT."""
    verdict, fault = outcome.verdict, outcome.fault
    if verdict is Verdict.CANCELLED:
        return NO_EVENT
    if fault is not None and (fault.source is Source.DOWNSTREAM or fault.kind is Kind.QUOTA):
        return NO_EVENT
    if verdict is Verdict.SERVED:
        return GOOD
    return REFUSED if verdict is Verdict.SHED else FAILED


def missed(record: Record, slo: ServiceLevelObjective) -> str:
    """The first threshold that a served request missed; GOOD: none."""
    meter, received, done = record.meter, record.timeline.received, record.timeline.done
    if slo.ttft is not None and meter.first_token is not None and meter.first_token - received > slo.ttft:
        return "ttft"
    if slo.tpot is not None:
        tpot_s = meter.tpot_s(record.usage.completion_tokens)
        if tpot_s is not None and tpot_s > slo.tpot:
            return "tpot"
    if slo.e2e is not None and done is not None and done - received > slo.e2e and record.outcome is not TUNNELLED:
        return "e2e"
    return GOOD
