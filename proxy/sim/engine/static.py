"""The engine that runs one batch at a time, as a plain `transformers` pipeline does.

Owns how that differs from continuous batching: nobody joins a running batch, prompts are computed whole and padded to
the longest, and a place stays occupied (and paid for) until the longest answer of the batch is done. There is no
collecting window: what comes to an idle engine in one instant is a batch, and who comes later waits for its end.
"""

from random import Random

from proxy.sim.engine.engine import Engine
from proxy.sim.engine.plan import Plan
from proxy.sim.engine.sequence import Chunk, Reporting, Sequence, SimRequest
from proxy.sim.engine.spec import EngineKind, EngineSpec


class StaticEngine(Engine):
    """One padded batch at a time."""

    def __init__(
        self,
        spec: EngineSpec,
        reporting: Reporting = Reporting.EVERY_STEP,
        noise: float = 0.0,
        chance: Random | None = None,
    ) -> None:
        super().__init__(spec, reporting, noise, chance)
        self._places = 0
        """Places of the current batch, the finished ones included."""

    def submit(self, request: SimRequest, now: float) -> None:
        """As any engine's; who comes in the very instant in which a batch begins is of it."""
        plan = self._plan
        begins = plan is not None and plan.start == now and bool(plan.chunks) and not self._decoding.size
        super().submit(request, now)
        if begins and self._plan is plan and plan is not None:
            self._grow(plan)

    def _grow(self, plan: Plan) -> None:
        """The batch that has just begun takes in who waits, as far as there is room."""
        chunks = plan.chunks[:]
        self._plan = None
        self._admit(chunks, plan.start)
        self._plan = self._noisy(self._prefill_plan(plan.start, chunks, preempted=False))
        self.changes += 1

    def _budget(self) -> int:
        return self.spec.kv_blocks * self.spec.block_tokens

    def _has_seat(self) -> bool:
        """Only a batch that forms has any. Prompts are computed whole, so what is in prefill now has just joined."""
        return not self._decoding.size and len(self._running) < self.spec.max_num_seqs

    def _may_join(self) -> bool:
        return False

    def _try_admit(self, sequence: Sequence, budget: int) -> int:
        return super()._try_admit(sequence, budget) if sequence.target <= budget else 0

    def _mixed_step_s(self, chunks: list[Chunk]) -> float:
        self._places = len(chunks)
        longest = max(tokens for _, tokens in chunks)
        return max(self.spec.step_s, len(chunks) * self.spec.prefill_s(0, longest))

    def _decode_batch(self) -> int:
        return self._places


def build_engine(
    spec: EngineSpec, reporting: Reporting = Reporting.EVERY_STEP, noise: float = 0.0, chance: Random | None = None
) -> Engine:
    """The engine of the kind that the spec names."""
    kind = StaticEngine if spec.kind is EngineKind.STATIC else Engine
    return kind(spec, reporting, noise, chance)
