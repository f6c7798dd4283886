"""What a request would live through on an engine whose inside is open: its queue, its cache, all answer lengths.

Owns the arithmetic on true state. Only the reference router may use it: no proxy sees these things. It looks at what is
there now and takes nobody who is still to come into account; where sequences end on the way it is pessimistic.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from proxy.sim.arrival import Arrival
from proxy.sim.engine import Engine
from proxy.sim.sequence import Sequence, SimRequest, StepEnd


class Resident(NamedTuple):
    """A request that is already there."""

    id: int
    output_tokens: int
    left: int
    """Tokens still to come, the first one not counted."""
    decoding: bool


class Outlook(NamedTuple):
    """For one newcomer on one engine."""

    ttft_s: float
    own_s: float
    """Its own prefill, less what the cache holds."""
    step_s: float
    """A decode step with everybody there."""
    prefill_s: float
    """All prefills, its own included…"""
    steps: int
    """…and the steps they are spread over."""
    fits: bool
    """Whether everybody's context fits the KV budget to the end."""
    there: StepEnd

    def rest_s(self, resident: Resident) -> float:
        """How long a resident still takes from now, or from its first token if that is to come, with the newcomer."""
        prefill = self.prefill_s if resident.decoding else self.own_s
        return resident.left * self.step_s + prefill * min(1.0, resident.left / max(1, self.steps))

    def residents(self) -> Iterator[Resident]:
        """Everybody who is there."""
        for sequence, _ in self.there.pending:
            request = sequence.request
            yield Resident(request.id, request.output_tokens, request.output_tokens - 1, decoding=False)
        for sequence, left in self.there.decoding:
            yield Resident(sequence.request.id, sequence.request.output_tokens, left, decoding=True)


def outlook(engine: Engine, arrival: Arrival, now: float) -> Outlook:
    """If the request were sent there now."""
    spec, there = engine.spec, engine.after_this_step(now)
    request = SimRequest(-1, arrival.prompt_tokens, arrival.output_tokens, arrival.prefix_hashes)
    pending = [(s, _computed(engine, s, computed)) for s, computed in there.pending]
    cached = _hit(engine, request, arrival.prompt_tokens)
    own_s = spec.prefill_s(cached, arrival.prompt_tokens - cached)
    prefill_s = own_s + sum(spec.prefill_s(computed, s.target - computed) for s, computed in pending)
    tokens = sum(s.target - computed for s, computed in pending) + arrival.prompt_tokens - cached
    batch = len(there.decoding)
    steps = math.ceil(tokens / max(1, spec.token_budget - batch))
    among_s = spec.decode_s(batch, there.context)
    context = there.context + sum(s.target for s, _ in pending) + arrival.prompt_tokens
    return Outlook(
        ttft_s=there.left_s + _wait_for_seat_s(engine, there) + max(prefill_s + steps * among_s, spec.step_s),
        own_s=own_s,
        step_s=spec.decode_s(batch + len(pending) + 1, context),
        prefill_s=prefill_s,
        steps=steps,
        fits=_peak(there) + arrival.prompt_tokens + arrival.output_tokens <= spec.kv_blocks * spec.block_tokens,
        there=there,
    )


def _computed(engine: Engine, sequence: Sequence, computed: int) -> int:
    """Of a prompt: what is computed already, or will be found in the cache when it is admitted."""
    return computed or _hit(engine, sequence.request, sequence.target)


def _hit(engine: Engine, request: SimRequest, target: int) -> int:
    if not engine.spec.prefix_caching:
        return 0
    limit = (target - 1) // engine.spec.prefix_tokens
    return engine.pool.match(request.prefix_hashes, limit)[0] * engine.spec.prefix_tokens


def _wait_for_seat_s(engine: Engine, there: StepEnd) -> float:
    """Until enough of those that decode have ended, when all seats are taken."""
    over = len(there.pending) + len(there.decoding) + 1 - engine.spec.max_num_seqs
    if over <= 0:
        return 0.0
    lefts = sorted(left for _, left in there.decoding)
    if over > len(lefts):
        return math.inf
    return lefts[over - 1] * engine.spec.decode_s(len(there.decoding), there.context)


def _peak(there: StepEnd) -> int:
    """Tokens, as if nobody ended before all are at their longest and nobody shared a prefix."""
    coming = sum(s.request.prompt_tokens + s.request.output_tokens for s, _ in there.pending)
    return there.context + sum(left for _, left in there.decoding) + coming
