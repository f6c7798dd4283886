"""From a true request to what a proxy sees of it.

Owns the wall between the two: the length of the answer, the cached part of the prompt and the exact number of tokens
stay behind it. A prompt is seen as its bytes, which say its tokens only roughly.
"""

import math
from collections.abc import Callable, Mapping
from random import Random

from proxy.model.classes import DEFAULT_CLASS
from proxy.model.request import Job
from proxy.sim.arrival import Arrival

BYTES_PER_TOKEN = 4.2
"""Assumed: English with a modern vocabulary. The scheduler is not told."""
BYTES_SPREAD = 0.1
"""Assumed: standard deviation of the logarithm of a prompt's bytes per token."""

Changes = Mapping[str, Mapping[str, object]]
"""Traffic class → fields of its Jobs that the configuration sets."""

JobOf = Callable[[int, Arrival, float], Job]
"""Job id, the arrival, now."""


class SeenByProxy:
    """Makes Jobs; the same seed gives the same noise to every contender."""

    def __init__(
        self, seed: int, prefix_tokens: int, changes: Mapping[str, Mapping[str, object]] | None = None
    ) -> None:
        self._rng = Random(seed)  # noqa: S311 — reproducible, not secret
        self._prefix_tokens = prefix_tokens
        self._changes = changes or {}
        """By class: fields of the Job that the configuration sets."""

    def __call__(self, job_id: int, arrival: Arrival, now: float) -> Job:
        """The Job of one arrival."""
        slo = arrival.slo
        name = arrival.traffic_class or DEFAULT_CLASS
        fields: dict[str, object] = {"bulk": name == "bulk"} | dict(self._changes.get(name, {}))
        return Job(
            job_id,
            arrival.model,
            stream=arrival.stream,
            body_bytes=self._bytes(arrival),
            max_tokens=arrival.max_tokens,
            deadline=None if slo.e2e_s is None else now + slo.e2e_s,
            traffic_class=name,
            tenant=arrival.tenant or "",
            slo_ttft_s=slo.ttft_s,
            slo_tpot_s=slo.tpot_s,
            prefix=arrival.prefix_hashes[: arrival.prompt_tokens // self._prefix_tokens],
            prefix_block_tokens=self._prefix_tokens,
            **fields,  # type: ignore[arg-type]
        )

    def _bytes(self, arrival: Arrival) -> int:
        """Drawn in any case, so that one size does not shift the noise of those after it."""
        noise = math.exp(self._rng.gauss(0.0, BYTES_SPREAD))
        return arrival.body_bytes or max(1, round(arrival.prompt_tokens * BYTES_PER_TOKEN * noise))
