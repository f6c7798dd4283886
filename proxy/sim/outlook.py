"""What a request would live through on an engine whose inside is open: its queue, its cache, all answer lengths.

Owns the arithmetic on true state. Only the reference router may use it: no proxy sees these things. It looks at what is
there now and takes nobody who is still to come into account; where sequences end on the way it is pessimistic.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from proxy.sim.arrival import Arrival
from proxy.sim.engine import Engine
from proxy.sim.sequence import Sequence


class Resident(NamedTuple):
    """A request that is already there."""

    id: int
    output_tokens: int
    left: int
    """Tokens still to come."""
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

    def tpot_s(self, output_tokens: int) -> float:
        """The newcomer's own pace, if nobody else comes."""
        return self.step_s if output_tokens > 1 else 0.0

    def rest_s(self, resident: Resident) -> float:
        """How long a resident still takes after its first token, if the newcomer is let in."""
        tokens = resident.left if resident.decoding else resident.output_tokens - 1
        prefill = self.prefill_s if resident.decoding else self.own_s
        return tokens * self.step_s + prefill * min(1.0, tokens / max(1, self.steps))


def outlook(engine: Engine, arrival: Arrival, now: float) -> Outlook:
    """If the request were sent there now."""
    spec = engine.spec
    pending = [(s, _cached(engine, s)) for s in engine.pending()]
    decoding = engine.decoding_now()
    cached = _hit(engine, arrival)
    own_s = spec.prefill_s(cached, arrival.prompt_tokens - cached)
    tokens = sum(s.target - known for s, known in pending) + arrival.prompt_tokens - cached
    prefill_s = own_s + sum(spec.prefill_s(known, s.target - known) for s, known in pending)
    steps = math.ceil(tokens / max(1, spec.token_budget - len(decoding)))
    batch, context = len(decoding) + len(pending) + 1, _context(engine, pending) + arrival.prompt_tokens
    among = spec.decode_s(len(decoding), engine.decoding_tokens)
    wait = engine.step_left_s(now) + _wait_for_seat_s(engine, len(pending), decoding)
    return Outlook(
        ttft_s=wait + max(prefill_s + steps * among, spec.step_s),
        own_s=own_s,
        step_s=spec.decode_s(batch, context),
        prefill_s=prefill_s,
        steps=steps,
        fits=_peak(engine, arrival, decoding) <= spec.kv_blocks * spec.block_tokens,
    )


def residents(engine: Engine) -> Iterator[Resident]:
    """Everybody who is there."""
    for sequence in engine.pending():
        yield Resident(sequence.request.id, sequence.request.output_tokens, sequence.request.output_tokens, False)
    for sequence, left in engine.decoding_now():
        yield Resident(sequence.request.id, sequence.request.output_tokens, left, True)


def _hit(engine: Engine, arrival: Arrival) -> int:
    if not engine.spec.prefix_caching:
        return 0
    limit = (arrival.prompt_tokens - 1) // engine.spec.prefix_tokens
    return engine.pool.match(arrival.prefix_hashes, limit)[0] * engine.spec.prefix_tokens


def _cached(engine: Engine, sequence: Sequence) -> int:
    """Computed already, or found in the cache when it is admitted."""
    if sequence.computed or not engine.spec.prefix_caching:
        return sequence.computed
    limit = (sequence.target - 1) // engine.spec.prefix_tokens
    return engine.pool.match(sequence.request.prefix_hashes, limit)[0] * engine.spec.prefix_tokens


def _context(engine: Engine, pending: list[tuple[Sequence, int]]) -> int:
    return engine.decoding_tokens + sum(sequence.target for sequence, _ in pending)


def _wait_for_seat_s(engine: Engine, pending: int, decoding: list[tuple[Sequence, int]]) -> float:
    """Until enough of those that decode have ended, when all seats are taken."""
    over = pending + len(decoding) + 1 - engine.spec.max_num_seqs
    if over <= 0:
        return 0.0
    lefts = sorted(left for _, left in decoding)
    if over > len(lefts):
        return math.inf
    return lefts[over - 1] * engine.spec.decode_s(len(decoding), engine.decoding_tokens)


def _peak(engine: Engine, arrival: Arrival, decoding: list[tuple[Sequence, int]]) -> int:
    """Tokens, as if nobody ended before all are at their longest and nobody shared a prefix."""
    there = engine.decoding_tokens + sum(left for _, left in decoding)
    there += sum(s.request.prompt_tokens + s.request.output_tokens for s in engine.pending())
    return there + arrival.prompt_tokens + arrival.output_tokens
