"""What a request would live through on an engine whose inside is open: its queue, its cache, all answer lengths.

Owns the arithmetic on true state. Only reference routers may use it: no proxy sees these things. It looks at what is
there now and takes nobody who is still to come into account; where sequences end on the way it is pessimistic.

An `Inside` is what one engine holds, summed up once; it stays right while the engine does what it has decided on, so
that many requests can be asked about for the price of one look.
"""

import math
from typing import NamedTuple

from proxy.sim.engine.engine import Engine
from proxy.sim.engine.sequence import Sequence
from proxy.workload.arrival import Arrival


class Resident(NamedTuple):
    """A request that is already there."""

    id: int
    output_tokens: int
    end: int
    """Of one that decodes: the engine's step at which it ends. Of one in prefill: tokens after its first."""
    decoding: bool


class OracleForecast(NamedTuple):
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
    there: int
    """Requests that are there."""


class Inside:
    """What one engine holds at the end of the step it computes."""

    __slots__ = (
        "_among_s", "_batch", "_coming", "_context", "_end_sum", "_ends", "_first_step", "_left_s", "_now", "_pending",
        "_prefill_s", "_seat_s", "_spec", "_targets", "_tokens", "_was_context", "at_step", "changes", "engine",
        "residents", "stage",
    )  # fmt: skip

    def __init__(self, engine: Engine, now: float) -> None:
        self.engine, self._spec = engine, engine.spec
        self.changes, self._now = engine.changes, now
        self.stage, self.at_step, self._left_s = engine.moment(now)
        self._first_step = self.at_step
        """How many steps the engine has done when a newcomer could begin."""
        there = engine.after_this_step(now)
        pending = [(sequence, _computed(engine, sequence, computed)) for sequence, computed in there.pending]
        self._batch, self._pending, self._context = len(there.decoding), len(pending), there.context
        self._was_context = there.context
        self._prefill_s = sum(self._spec.prefill_s(computed, s.target - computed) for s, computed in pending)
        self._tokens = sum(s.target - computed for s, computed in pending)
        self._targets = sum(s.target for s, _ in pending)
        self._coming = sum(s.request.prompt_tokens + s.request.output_tokens for s, _ in pending)
        self._ends = sorted(self.at_step + left for _, left in there.decoding)
        self._end_sum = sum(self._ends)
        self.residents = [
            *(Resident(s.request.id, s.request.output_tokens, s.request.output_tokens - 1, False) for s, _ in pending),
            *(Resident(s.request.id, s.request.output_tokens, self.at_step + n, True) for s, n in there.decoding),
        ]
        self._sum_up()

    def still_right(self, engine: Engine, now: float) -> bool:
        """Whether this is what the engine holds; brings it up to `now`."""
        if engine is not self.engine or engine.changes != self.changes:
            return False
        if now == self._now:
            return True
        stage, self.at_step, self._left_s = engine.moment(now)
        self._now = now
        self._sum_up()
        return stage == self.stage

    def _sum_up(self) -> None:
        """What is the same for all newcomers of one moment."""
        self._context = self._was_context + self._batch * (self.at_step - self._first_step)
        self._among_s = self._spec.decode_s(self._batch, self._context)
        self._seat_s = self._wait_for_seat_s()

    def outlook(self, arrival: Arrival) -> OracleForecast:
        """If the request were sent there at the moment that was told last."""
        spec, context = self._spec, self._context
        prompt = arrival.prompt_tokens
        cached = hit(self.engine, arrival.prefix_hashes, prompt)
        own_s = spec.prefill_s(cached, prompt - cached)
        prefill_s = own_s + self._prefill_s
        steps = math.ceil((self._tokens + prompt - cached) / max(1, spec.token_budget - self._batch))
        peak = context + self._end_sum - self._batch * self.at_step + self._coming
        there = self._batch + self._pending
        return OracleForecast(
            ttft_s=self._left_s + self._seat_s + max(prefill_s + steps * self._among_s, spec.step_s),
            own_s=own_s,
            step_s=spec.decode_s(there + 1, context + self._targets + prompt),
            prefill_s=prefill_s,
            steps=max(1, steps),
            fits=peak + arrival.context_tokens <= spec.kv_blocks * spec.block_tokens,
            there=there,
        )

    def _wait_for_seat_s(self) -> float:
        """Until enough of those that decode have ended, when all seats are taken."""
        over = self._pending + self._batch + 1 - self._spec.max_num_seqs
        if over <= 0:
            return 0.0
        if over > len(self._ends):
            return math.inf
        return (self._ends[over - 1] - self.at_step) * self._among_s


def outlook(engine: Engine, arrival: Arrival, now: float) -> OracleForecast:
    """If one request were sent there now."""
    return Inside(engine, now).outlook(arrival)


def hit(engine: Engine, hashes: tuple[int, ...], target: int) -> int:
    """Tokens of a prompt that are in the prefix cache."""
    if not engine.spec.prefix_caching or not hashes:
        return 0
    limit = (target - 1) // engine.spec.prefix_tokens
    return engine.pool.match(hashes, limit)[0] * engine.spec.prefix_tokens


def _computed(engine: Engine, sequence: Sequence, computed: int) -> int:
    """Of a prompt: what is computed already, or will be found in the cache when it is admitted."""
    return computed or hit(engine, sequence.request.prefix_hashes, sequence.target)
