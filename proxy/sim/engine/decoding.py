"""The sequences of a batch that decode, one token each per step.

Owns the step count and what follows from it without touching every sequence at every step: who ends when, how much
context there is, how many KV blocks a step needs. Takes no blocks itself; `engine` does.
"""

from heapq import heappop, heappush

from proxy.sim.engine.sequence import Sequence


class DecodingSet:
    """Sequences added and removed between steps; a step costs the same whatever their number."""

    def __init__(self, block_tokens: int) -> None:
        self.size = 0
        self.kv_tokens = 0
        """Context of all of them, tokens."""
        self.step = 0
        """Steps since the start."""
        self._block_tokens = block_tokens
        self._phases = [0] * block_tokens
        """Sequences by the step, modulo the block size, in which they need their next block."""
        self._ends: list[tuple[int, int, Sequence]] = []
        """(step, tie breaker, sequence), a heap; an entry whose sequence has left since is skipped."""
        self._added = 0

    def add(self, sequence: Sequence) -> None:
        """Decode from the next step on."""
        sequence.since_step = self.step
        sequence.finish_step = self.step + sequence.request.output_tokens - sequence.emitted
        self._added += 1
        heappush(self._ends, (sequence.finish_step, self._added, sequence))
        self._phases[(sequence.computed - self.step) % self._block_tokens] += 1
        self.size += 1
        self.kv_tokens += sequence.computed

    def remove(self, sequence: Sequence) -> None:
        """Stop decoding; brings `computed` and `emitted` up to date."""
        assert sequence.since_step is not None, "not decoding"
        self._phases[(sequence.computed - sequence.since_step) % self._block_tokens] -= 1
        steps = self.step - sequence.since_step
        sequence.computed += steps
        sequence.emitted += steps
        sequence.since_step = None
        self.size -= 1
        self.kv_tokens -= sequence.computed

    def advance(self, steps: int) -> None:
        """That many steps were computed."""
        self.step += steps
        self.kv_tokens += self.size * steps

    def emitted(self, sequence: Sequence) -> int:
        """Tokens of a decoding sequence so far."""
        assert sequence.since_step is not None, "not decoding"
        return sequence.emitted + self.step - sequence.since_step

    def next_ended(self) -> Sequence | None:
        """A sequence that has all its tokens; None when there is no other."""
        if self.steps_to_first_end() > 0:
            return None
        return self._ends[0][2]

    def steps_to_first_end(self) -> int:
        """Steps until the first sequence ends; a large number when there is none."""
        ends = self._ends
        while ends and (ends[0][2].since_step is None or ends[0][2].finish_step != ends[0][0]):
            heappop(ends)
        return ends[0][0] - self.step if ends else 1 << 62

    def blocks_needed(self, steps: int = 1) -> int:
        """New KV blocks for the next steps."""
        if steps == 1:
            return self._phases[-self.step % self._block_tokens]
        cycles, rest = divmod(steps, self._block_tokens)
        return cycles * self.size + sum(self._blocks_needed_in(self.step + i) for i in range(rest))

    def steps_within(self, steps: int, blocks: int) -> int:
        """As many of these steps as the blocks allow."""
        if self.size * (steps // self._block_tokens + 1) <= blocks:
            return steps
        for fitting in range(steps):
            blocks -= self._blocks_needed_in(self.step + fitting)
            if blocks < 0:
                return fitting
        return steps

    def _blocks_needed_in(self, step: int) -> int:
        return self._phases[-step % self._block_tokens]
