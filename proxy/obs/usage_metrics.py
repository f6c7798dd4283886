"""Who used what: requests, tokens and time by model and tenant, for a bill and to find a noisy neighbour.

Owns these counts. Both labels are closed sets (`obs.labels`): tenants are those of the configuration, by its name for
them; whoever has no entry there is `other`.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.metrics_core import Metric

from proxy.model.outcome import SERVED, Verdict
from proxy.obs.families import counters
from proxy.obs.record import Record

_LABELS: Final = ("model", "tenant")


class _Used:
    """By one tenant of one model."""

    __slots__ = ("cached", "completion", "kept", "prompt", "queue_s", "served", "service_s", "verdicts")

    def __init__(self) -> None:
        self.verdicts = dict.fromkeys(map(str, Verdict), 0)
        self.served = self.prompt = self.completion = self.cached = self.kept = 0
        self.queue_s = self.service_s = 0.0

    def ends(self) -> dict[str, int]:
        """Requests by verdict."""
        return {**self.verdicts, Verdict.SERVED.value: self.verdicts[Verdict.SERVED.value] + self.served}

    def tokens(self) -> tuple[tuple[str, int], ...]:
        """By direction."""
        told = ("prompt", self.prompt), ("completion", self.completion), ("cached", self.cached)
        return (*told, ("kept", self.kept))


class UsageMetrics:
    """One per proxy."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], _Used] = {}

    def count(self, model: str, tenant: str, record: Record) -> None:
        """One finished request; both are values of their labels."""
        used = self._used.get((model, tenant))
        if used is None:
            used = self._used[model, tenant] = _Used()
        if record.outcome is SERVED:
            used.served += 1
        else:
            used.verdicts[str(record.outcome.verdict)] += 1
        prompt, completion, cached = record.usage
        if record.is_from_memory:
            used.kept += completion or 0
        else:
            used.prompt += prompt or 0
            used.completion += completion or 0
            used.cached += cached or 0
        line = record.timeline
        if line.released is not None and line.done is not None and line.understood is not None:
            used.service_s += line.done - line.released
            used.queue_s += line.released - line.understood

    def families(self) -> Iterator[Metric]:
        """All series."""
        used = self._used.items()
        yield counters(
            "tidegate_usage_requests",
            "Requests ended, by the model asked for and the tenant, as the configuration names them.",
            (*_LABELS, "verdict"),
            [((*key, verdict), float(n)) for key, one in used for verdict, n in one.ends().items() if n],
        )
        yield counters(
            "tidegate_usage_tokens",
            "Tokens as the engines reported them; cached is part of prompt, kept are output tokens of answers from "
            "memory, in none of the others.",
            (*_LABELS, "direction"),
            [((*key, direction), float(n)) for key, one in used for direction, n in one.tokens() if n],
        )
        yield counters(
            "tidegate_usage_service_seconds",
            "Time that engines had its requests: from the last dispatch to the last byte, added up.",
            _LABELS,
            [(key, one.service_s) for key, one in used],
        )
        yield counters(
            "tidegate_usage_queue_seconds",
            "Time that its requests waited here, windows included, added up.",
            _LABELS,
            [(key, one.queue_s) for key, one in used],
        )


def truncated_families(counted: Mapping[tuple[str, str, str], int]) -> Iterator[Metric]:
    """By backend, model and what was left out."""
    yield counters(
        "tidegate_truncated_requests",
        "Requests of which an engine left something out without a word: a part of the `prompt` that was longer than "
        "its context, or the beginning of a `context` that its answer filled.",
        ("backend", "model", "what"),
        [(key, float(n)) for key, n in counted.items()],
    )
