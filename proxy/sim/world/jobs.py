"""From a true request to what a proxy sees of it.

Owns the wall between the two: the length of the answer, the cached part of the prompt and the exact number of tokens
stay behind it. A prompt is seen as its bytes, which say its tokens only roughly. Classes are found as the proxy does.
"""

import math
from random import Random
from typing import Final, Protocol

from proxy.core.tenancy.classify import Classified, Classifier, RequestTraits
from proxy.model.classes import with_built_in
from proxy.model.endpoint import Endpoint
from proxy.model.request import Job
from proxy.model.windows import Windows
from proxy.workload.arrival import Arrival

BYTES_PER_TOKEN: Final = 4.2
"""Assumed: English with a modern vocabulary. The scheduler is not told."""
BYTES_SPREAD: Final = 0.1
"""Assumed: standard deviation of the logarithm of a prompt's bytes per token."""
_GUESSED_BYTES_PER_TOKEN: Final = 4
"""For rules that ask for the size of a prompt."""


class JobMaker(Protocol):
    """What the world needs of it."""

    def job(self, job_id: int, arrival: Arrival, now: float) -> Job: ...
    def finished(self, arrival: Arrival) -> None: ...


class SeenByProxy:
    """Makes Jobs; the same seed gives the same noise to every contender."""

    def __init__(
        self, seed: int, prefix_tokens: int, classifier: Classifier | None = None, windows: Windows | None = None
    ) -> None:
        self._rng = Random(seed)  # noqa: S311 — reproducible, not secret
        self._prefix_tokens = prefix_tokens
        self._classifier = classifier or Classifier(with_built_in(()), (), None)
        self._windows = windows or Windows(dict.fromkeys(self._classifier.classes))

    def job(self, job_id: int, arrival: Arrival, now: float) -> Job:
        """The Job of one arrival. What the request promises goes before what its class does."""
        size = self._bytes(arrival)
        found = self._classified(arrival, size)
        kind, slo, promise = found.traffic_class, arrival.slo, found.traffic_class.promise
        endpoint = _endpoint(arrival)
        lasts = slo.e2e_s if slo.e2e_s is not None else promise.deadline_s
        return Job(
            job_id,
            arrival.model,
            endpoint=endpoint,
            stream=arrival.stream,
            body_bytes=size,
            max_tokens=arrival.max_tokens,
            deadline=None if lasts is None else now + lasts,
            traffic_class=kind.name,
            tenant=arrival.tenant or "",
            bulk=kind.bulk,
            priority=kind.priority + found.priority,
            demotable=kind.demotable,
            slo_ttft_s=slo.ttft_s if slo.ttft_s is not None else promise.ttft_s,
            slo_tpot_s=slo.tpot_s if slo.tpot_s is not None else promise.tpot_s,
            prefix=arrival.prefix_hashes[: arrival.prompt_tokens // self._prefix_tokens],
            prefix_block_tokens=self._prefix_tokens,
            require=found.require,
            prefer=found.prefer,
            done_by=None if lasts is None else now + lasts,
            hedge=kind.hedge,
            session=arrival.session,
            gather=self._windows.of(kind.name, endpoint),
            window=arrival.model.encode() if endpoint is Endpoint.EMBEDDINGS else None,
        )

    def finished(self, arrival: Arrival) -> None:
        """An answer is complete: the classifier learns how long such answers get."""
        self._classifier.learn(self._asked(arrival, arrival.body_bytes), arrival.output_tokens)

    def _classified(self, arrival: Arrival, size: int) -> Classified:
        return self._classifier.classify(self._asked(arrival, size))

    def _asked(self, arrival: Arrival, size: int) -> RequestTraits:
        """A class that the configuration does not know is as if none was named."""
        known = arrival.traffic_class in self._classifier.classes
        return RequestTraits(
            endpoint="chat.completions",
            model=arrival.model,
            tenant=arrival.tenant or "",
            stream=arrival.stream,
            asked_class=arrival.traffic_class or "" if known else "",
            service_tier="",
            max_tokens=arrival.max_tokens,
            prompt_tokens=size // _GUESSED_BYTES_PER_TOKEN,
            constrained=False,
            promised=arrival.slo.ttft_s is not None or arrival.slo.tpot_s is not None,
        )

    def _bytes(self, arrival: Arrival) -> int:
        """Drawn in any case, so that one size does not shift the noise of those after it."""
        noise = math.exp(self._rng.gauss(0.0, BYTES_SPREAD))
        return arrival.body_bytes or max(1, round(arrival.prompt_tokens * BYTES_PER_TOKEN * noise))


def _endpoint(arrival: Arrival) -> Endpoint:
    """Where no answer is generated it is a text to be embedded."""
    return Endpoint.CHAT if arrival.stream or arrival.output_tokens else Endpoint.EMBEDDINGS
