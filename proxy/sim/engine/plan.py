"""Steps that an engine has decided on: when they end, each and together."""

from math import sqrt

from proxy.sim.engine.sequence import Chunk, Sequence


class Plan:
    """`steps` steps from `start`: the first takes `first_s`, each further one `growth_s` more than the one before."""

    __slots__ = ("chunks", "end", "first_s", "growth_s", "start", "steps")

    def __init__(self, start: float, steps: int, first_s: float, growth_s: float, chunks: list[Chunk]) -> None:
        self.start = start
        self.steps = steps
        self.first_s = first_s
        self.growth_s = growth_s
        self.chunks = chunks
        """What is prefilled, tokens, in every step; in a plan of several: one chunk."""
        self.end = self.end_of(steps)

    def end_of(self, steps: int) -> float:
        """When that many steps are done."""
        return self.start + steps * self.first_s + self.growth_s * (steps * (steps - 1) / 2)

    def steps_done_at(self, now: float) -> int:
        """Whole steps done at `now`, at most all but the last."""
        half = self.growth_s / 2
        linear = self.first_s - half
        elapsed = max(0.0, now - self.start)
        root = sqrt(linear * linear + 4 * half * elapsed)
        done = int(2 * elapsed / (linear + root)) if elapsed else 0
        while done > 0 and self.end_of(done) > now:
            done -= 1
        while done + 1 < self.steps and self.end_of(done + 1) <= now:
            done += 1
        return min(done, self.steps - 1)

    def only_step(self, index: int) -> "Plan":
        """The plan that ends with the step of that index."""
        return Plan(self.end_of(index), 1, self.first_s + index * self.growth_s, 0.0, self.chunks)

    def taking(self, factor: float) -> "Plan":
        """The same plan, so many times as long."""
        return Plan(self.start, self.steps, self.first_s * factor, self.growth_s * factor, self.chunks)

    def drop(self, sequence: Sequence) -> None:
        """Compute this prefill for nobody: the time is spent, the result is not wanted."""
        self.chunks = [chunk for chunk in self.chunks if chunk[0] is not sequence]
