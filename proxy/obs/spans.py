"""The spans of one finished request, as plain values: queue, window, attempts and stream under one of the server.

Owns their names, times and attributes. Made from the Record when it is over: nothing is done for them while it lasts,
and nothing is in them that the access log does not tell too. Never a prompt, an answer or a key.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from proxy.model.faults import Source
from proxy.model.outcome import Verdict
from proxy.obs import genai
from proxy.obs.genai import Engines
from proxy.obs.record import Record
from proxy.wire.trace_context import Trace, TracedAttempt

SERVER: Final = "server"
CLIENT: Final = "client"
INTERNAL: Final = "internal"
Value = str | int | float | bool
_SERVER_ERROR: Final = 500


class Span(NamedTuple):
    """One span. Ids are hex, times nanoseconds of the wall clock."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty: it has none."""
    state: str
    """`tracestate`."""
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value]
    error: str
    """What went wrong, in one word; empty: nothing."""


class Spans:
    """Makes them. `policy`: that of the router."""

    def __init__(self, engines: Engines, policy: str) -> None:
        self._engines = engines
        self._policy = policy

    def of(self, record: Record, offset_s: float) -> list[Span]:
        """The request's own first. `offset_s`: of the wall clock from the monotonic one."""
        trace = record.trace
        if trace is None:
            return []
        maker = _Maker(record, trace, offset_s)
        spans = [maker.own(_name(record), _of_request(record, trace, self._policy))]
        spans += self._waiting(record, trace, maker)
        spans += [self._attempt(record, attempt, maker) for attempt in trace.attempts]
        spans += _stream(record, maker)
        return spans

    def _waiting(self, record: Record, trace: Trace, maker: "_Maker") -> Iterator[Span]:
        line = record.timeline
        if line.understood is None:
            return
        sent = trace.attempts[0].sent if trace.attempts else None
        gathered = line.gathered
        until = sent if gathered is None or (sent is not None and sent < gathered) else gathered
        if until is not None or record.outcome.verdict in (Verdict.SHED, Verdict.CANCELLED):
            yield maker.part("queue", line.understood, line.done if until is None else until, {})
        if gathered is not None:
            company = record.company
            attributes: dict[str, Value] = {}
            if company is not None:
                attributes["tidegate.window.jobs"] = company.jobs
                attributes["tidegate.window.leads"] = company.leads
                if company.closed is not None:
                    attributes["tidegate.window.closed"] = company.closed.value
            yield maker.part("window", gathered, line.released, attributes)

    def _attempt(self, record: Record, attempt: TracedAttempt, maker: "_Maker") -> Span:
        operation, (asked, served) = genai.FACTS[record.endpoint].operation, genai.models(record)
        is_last = record.trace is not None and attempt is record.trace.attempts[-1]
        has_answer = not attempt.end_reason and is_last
        error = attempt.end_reason or (genai.error_type(record) if is_last else "")
        attributes: dict[str, Value] = {genai.OPERATION: operation, "tidegate.attempt": attempt.number}
        _put(attributes, genai.REQUEST_MODEL, asked)
        _put(attributes, "gen_ai.request.stream", record.stream)
        prompt, _, version = record.prompt_version.partition("@")
        _put(attributes, "gen_ai.prompt.name", prompt)
        _put(attributes, "gen_ai.prompt.version", version)
        _put(attributes, "tidegate.backend", attempt.backend)
        _put(attributes, "tidegate.route.hedge", attempt.hedge)
        _put(attributes, "tidegate.route.fallback", attempt.way)
        _put(attributes, "tidegate.route.reason", _reason(record, attempt))
        attributes["tidegate.route.policy"] = self._policy
        attributes["tidegate.held_s"] = attempt.held_s
        _put(attributes, "tidegate.predicted_ttft_s", attempt.ttft_s)
        _put(attributes, "tidegate.in_flight", attempt.in_flight)
        for name, at in (("connected", attempt.connected), ("first_byte", attempt.first_byte)):
            if at is not None:
                attributes[f"tidegate.{name}_s"] = at - attempt.sent
        engine = self._engines(attempt.backend)
        if engine is not None:
            attributes |= {genai.PROVIDER: engine.kind, genai.ADDRESS: engine.address, genai.PORT: engine.port}
        if has_answer:
            attributes |= _of_answer(record, served, attempt.sent)
        _put(attributes, genai.ERROR, error)
        return maker.call(f"{operation} {asked}".rstrip(), attempt, attributes, error)


def _name(record: Record) -> str:
    """Of few different ones: a path that nobody knows is the client's own."""
    return f"{record.method} {record.endpoint}".strip()


def _of_request(record: Record, trace: Trace, policy: str) -> dict[str, Value]:
    outcome, (asked, served) = record.outcome, genai.models(record)
    attributes: dict[str, Value] = {
        "http.request.method": record.method,
        "http.response.status_code": record.status,
        "tidegate.outcome": outcome.verdict.value,
        "tidegate.end_code": outcome.end_code,
        "tidegate.attempts": record.attempts,
        "tidegate.route.policy": policy,
        "tidegate.request_id": record.id,
    }
    facts = genai.FACTS[record.endpoint]
    if facts.works:
        attributes[genai.OPERATION] = facts.operation
        attributes |= _of_answer(record, served, record.timeline.received)
    _put(attributes, genai.REQUEST_MODEL, asked)
    for name, value in (
        ("backend", record.backend),
        ("class", record.traffic_class),
        ("tenant", record.tenant),
        ("cache", record.cache),
        ("fallback", record.fallback),
        ("hedge", record.hedge),
        ("resumed", record.resumed),
        ("refused", trace.reason if outcome.verdict is Verdict.SHED else ""),
    ):
        _put(attributes, f"tidegate.{name}", value)
    _put(attributes, genai.ERROR, genai.error_type(record))
    return attributes


def _of_answer(record: Record, served: str, asked_at: float) -> dict[str, Value]:
    usage, first_token = record.usage, record.meter.first_token
    attributes: dict[str, Value] = {}
    _put(attributes, genai.RESPONSE_MODEL, served)
    for name, tokens in (
        ("input_tokens", usage.prompt_tokens),
        ("output_tokens", usage.completion_tokens),
        ("cache_read.input_tokens", usage.cached_tokens),
    ):
        if tokens is not None:
            attributes[f"gen_ai.usage.{name}"] = tokens
    if first_token is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = max(0.0, first_token - asked_at)
    return attributes


def _reason(record: Record, attempt: TracedAttempt) -> str:
    """Why it was sent there and then."""
    if attempt.hedge:
        return "hedge"
    if attempt.way:
        return "fallback"
    company = record.company
    if company is not None and company.joins:
        return "joined"
    if attempt.number > 1:
        return "retry"
    if record.trace is not None and attempt is not record.trace.attempts[0]:
        return "again"
    return "held" if attempt.held_s else "first"


def _stream(record: Record, maker: "_Maker") -> Iterator[Span]:
    """What flowed to the client, from the first token on."""
    meter, done = record.meter, record.timeline.done
    if record.stream and meter.first_token is not None and done is not None:
        attributes: dict[str, Value] = {"tidegate.stream.events": meter.events}
        tpot_s = meter.tpot_s(record.usage.completion_tokens)
        if tpot_s is not None:
            attributes["tidegate.stream.tpot_s"] = tpot_s
        yield maker.part("stream", meter.first_token, done, attributes, genai.error_type(record))


def _put(attributes: dict[str, Value], name: str, value: Value) -> None:
    """Only what there is."""
    if value:
        attributes[name] = value


class _Maker:
    """Of one request: knows ids and clocks."""

    def __init__(self, record: Record, trace: Trace, offset_s: float) -> None:
        self._record = record
        self._trace = trace
        self._offset_s = offset_s
        self._state = trace.state.decode("ascii", "replace")

    def own(self, name: str, attributes: Mapping[str, Value]) -> Span:
        """The request's, from its first to its last moment."""
        trace, line = self._trace, self._record.timeline
        ends = self._made(name, SERVER, line.received, line.done, attributes, _own_error(self._record), trace.span_id)
        return ends._replace(parent_id=trace.parent_id)

    def part(
        self,
        name: str,
        start: float,
        end: float | None,
        attributes: Mapping[str, Value],
        error: str = "",
    ) -> Span:
        """Of the request, with an id of its own."""
        return self._made(name, INTERNAL, start, end, attributes, error, self._trace.new_id())

    def call(self, name: str, attempt: TracedAttempt, attributes: Mapping[str, Value], error: str) -> Span:
        """With the id that its engine was told."""
        return self._made(name, CLIENT, attempt.sent, attempt.ended, attributes, error, attempt.span_id)

    def _made(
        self,
        name: str,
        kind: str,
        start: float,
        end: float | None,
        attributes: Mapping[str, Value],
        error: str,
        span_id: str,
    ) -> Span:
        trace, start_ns = self._trace, self._ns(start)
        end_ns = start_ns if end is None else max(start_ns, self._ns(end))
        return Span(
            name, kind, trace.trace_id, span_id, trace.span_id, self._state, start_ns, end_ns, attributes, error
        )

    def _ns(self, at: float) -> int:
        return int((at + self._offset_s) * 1e9)


def _own_error(record: Record) -> str:
    """A client's own mistake, and a refusal that says when to come again, are no errors of the server."""
    outcome = record.outcome
    fault = outcome.fault
    broke = outcome.verdict is Verdict.FAILED and fault is not None and fault.source is not Source.DOWNSTREAM
    return genai.error_type(record) if broke or record.status >= _SERVER_ERROR else ""
