"""Why a request would go where: asked of a running proxy, answered by the very steps that a request takes.

Owns the answer's shape and its text for people. Decides nothing: head, body, intake and scheduler are the real ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from types import MappingProxyType
from typing import Any, Final

import orjson

from proxy.core.scheduler import Scheduler
from proxy.live.gate import Gate
from proxy.live.job_builder import BuiltJob, JobBuilder
from proxy.model.commands import Reason
from proxy.model.faults import FaultError
from proxy.model.limits import Limits
from proxy.model.parameters import ParameterSettings
from proxy.report.tables import table
from proxy.wire import body as bodies
from proxy.wire import errors
from proxy.wire.headers import HeaderPolicy, check_head
from proxy.wire.parameters import CHANGES
from proxy.wire.routes import route

DEFAULT_PATH = "/v1/chat/completions"
_LIMITS = frozenset(Reason)
"""What keeps a request away only where admission is enforced."""
_BUDGETS = ("requests", "tokens", "input_tokens", "output_tokens", "day_tokens")
NOTHING_CHANGED: Final[Mapping[str, ParameterSettings]] = MappingProxyType({})
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"content-encoding", b"expect", b"connection"})


class Explainer:
    """One per proxy."""

    def __init__(
        self,
        job_builder: JobBuilder,
        scheduler: Scheduler,
        limits: Limits,
        rule_lines: Sequence[int],
        gate: Gate,
        of_models: Mapping[str, ParameterSettings] = NOTHING_CHANGED,
        of_backends: Mapping[str, ParameterSettings] = NOTHING_CHANGED,
    ) -> None:
        """`of_models`, `of_backends`: fields of requests that are changed, by name."""
        self._intake = job_builder
        self._scheduler = scheduler
        self._limits = limits
        self._gate = gate
        self._rule_lines = rule_lines
        """Where the rules stand in the configuration file."""
        self._changes = of_models, of_backends

    def explain(
        self, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes, tenant: str = ""
    ) -> tuple[int, bytes]:
        """Status and JSON for a request that would come so, of this tenant or of whoever the headers say; an answer of
        4xx is the one that it would get."""
        try:
            return 200, orjson.dumps(self._explained(path, headers, body, tenant))
        except FaultError as error:
            refused = errors.answer(error.fault)
            return refused.status, refused.body

    def _explained(self, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes, tenant: str) -> dict[str, Any]:
        head = check_head(
            b"POST",
            path.encode(),
            "1.1",
            [header for header in headers if header[0].lower() not in _FRAMING],
            limits=self._limits.head,
            policy=HeaderPolicy(),
            new_id=lambda: "explain",
        )
        if tenant:
            head.tenant = tenant
        else:
            self._gate.recognise(head)
        now = monotonic()
        request, fields = bodies.read(head, route(head.target), body, self._limits.parameters)
        taken = self._intake.take(head, request, fields, now, body)
        decision = self._scheduler.explain(taken.job, now)
        changed = self._changed(taken.job.model, decision.backend or "")
        return {**self._classified(taken), "fields": changed, "decision": decision}

    def _changed(self, model: str, backend: str) -> dict[str, list[str]]:
        """What is changed on the way to the backend that it would go to, by how."""
        of_models, of_backends = self._changes
        found: dict[str, list[str]] = {}
        for settings in (of_models.get(model), of_backends.get(backend)):
            if settings is not None:
                for change in CHANGES:
                    names = [name for name in getattr(settings, change) if name not in found.get(change, ())]
                    if names:
                        found.setdefault(change, []).extend(names)
        return found

    def _classified(self, taken: BuiltJob) -> dict[str, Any]:
        job, classified = taken.job, taken.classified
        return {
            "class": job.traffic_class,
            "class_by": classified.by,
            "rule": self._rule(classified.rule),
            "model": job.model,
            "tenant": job.tenant,
            "bulk": job.bulk,
            "priority": job.priority,
            "prompt_tokens_estimated": job.prompt_tokens,
            "prefix_blocks": len(job.prefix),
            "constrained": job.constrained,
            "require": sorted(job.require),
            "prefer": sorted(job.prefer),
            "fallbacks": [way.said for way in job.fallbacks],
            "hedged": job.hedge is not None and not job.bulk,
            "promise": taken.promise._asdict(),
        }

    def _rule(self, index: int | None) -> dict[str, Any] | None:
        if index is None:
            return None
        line = self._rule_lines[index] if index < len(self._rule_lines) else None
        return {"path": f"routing.rules[{index}]", "line": line}


def as_text(told: Mapping[str, Any], file: str, width: int) -> str:
    """The answer for people, its table at most so wide."""
    lines = [*_request_lines(told, file), *_decision_lines(told["decision"]), ""]
    return "\n".join(lines) + _candidates(told["decision"], width)


def _request_lines(told: Mapping[str, Any], file: str) -> Iterator[str]:
    rule = told["rule"]
    where = f"{rule['path']}, {file} line {rule['line']}" if rule else "no rule fits"
    yield f"class     {told['class']}, decided by {told['class_by']} ({where})"
    yield f"request   model {told['model']}, about {told['prompt_tokens_estimated']} prompt tokens, tenant " + (
        told["tenant"] or "none"
    )
    promise = {name.removesuffix("_s"): value for name, value in told["promise"].items() if value and name[-2:] == "_s"}
    yield "promise   " + (", ".join(f"{name} {_time(value)}" for name, value in promise.items()) or "none")
    for name in ("require", "prefer", "fallbacks"):
        if told[name]:
            yield f"{name:<9} {', '.join(told[name])}"
    if told["fields"]:
        yield "fields    " + "; ".join(f"{change} {', '.join(names)}" for change, names in told["fields"].items())
    if told["hedged"]:
        after_s = told["decision"]["hedge_after_s"]
        yield "hedge     " + (
            "too early to say when" if after_s is None else f"after {_time(after_s)} without a first byte"
        )


def _decision_lines(decision: Mapping[str, Any]) -> Iterator[str]:
    outcome = decision["outcome"] + (f" {decision['fallback']}" if decision["fallback"] else "")
    outcome += f" to {decision['backend']}" if decision["backend"] else ""
    reason = f", since {decision['reason']} would be broken" if decision["reason"] else ""
    yield f"outcome   {outcome}{reason} (policy {decision['policy']}, admission {decision['mode']})"
    yield (
        f"margins   TTFT x {decision['ttft_margin']:.2f}, TPOT x {decision['tpot_margin']:.2f}, "
        f"duty up to {decision['duty_limit']:.2f}, tenant over its share by {decision['tenant_over_share']:.2f}"
    )
    yield from _window_lines(decision)
    yield from _quota_lines(decision["quota"])


def _candidates(decision: Mapping[str, Any], width: int) -> str:
    """The best first."""
    header = (
        "backend",
        "pool",
        "engine",
        "score",
        "ttft",
        "tpot",
        "backlog",
        "load",
        "prefix",
        "in flight",
        "kept away by",
    )
    best = sorted(decision["candidates"], key=lambda c: (c["removed_by"] is not None, c["score"] or 0.0))
    return table(header, [_row(candidate) for candidate in best], width=width, left=3)


def _window_lines(decision: Mapping[str, Any]) -> Iterator[str]:
    """With whom it would go, and how long it may wait for more of them."""
    parts = []
    if decision["batch"] > 1:
        parts.append(f"batch={decision['batch']}, waited {_time(decision['waited_s'])}")
    if decision["window_s"]:
        parts.append(f"waits {_time(decision['window_s'])} at most")
    if parts:
        yield "window    " + ", ".join(parts)


def _quota_lines(quota: Mapping[str, Any] | None) -> Iterator[str]:
    if quota is None:
        return
    budgets = [(what.replace("_", " "), quota[what]) for what in _BUDGETS if quota[what]]
    parts = [f"{budget['left']} of {budget['limit']} {what}" for what, budget in budgets]
    if quota["max_concurrent"] is not None:
        parts.append(f"{quota['concurrent']} of {quota['max_concurrent']} at once open")
    if quota["max_streams"] is not None:
        parts.append(f"{quota['streams']} of {quota['max_streams']} streams open")
    yield "quota     " + ", ".join(parts)


def _row(candidate: Mapping[str, Any]) -> tuple[str, ...]:
    removed = candidate["removed_by"] or "-"
    if removed == "labels":
        removed += f" (lacks {', '.join(candidate['lacks'])})"
    return (
        candidate["backend"],
        candidate["pool"],
        " ".join(filter(None, (candidate["engine"], candidate["precision"]))) or "-",
        f"{candidate['score'] or 0.0:.4f}",
        _time(candidate["ttft_s"]),
        _time(candidate["tpot_s"]),
        _time(candidate["backlog_s"]),
        _time(candidate["loading_s"] or None),
        f"{candidate['hit_tokens'] or 0:.0f}/{candidate['prompt_tokens'] or 0:.0f}",
        str(candidate["in_flight"]),
        removed if candidate["enforced"] or removed not in _LIMITS else f"{removed} (not enforced)",
    )


def _time(value_s: float | None) -> str:
    if value_s is None:
        return "-"
    return (
        f"{value_s:.1f} s"
        if value_s >= 10
        else f"{value_s * 1e3:.0f} ms"
        if value_s >= 0.01
        else f"{value_s * 1e3:.1f} ms"
    )
