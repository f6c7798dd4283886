"""The modelled engine: chunked prefill, continuous batching, paged KV with preemption, a prefix cache, FCFS.

Owns which request computes when. Owns no clock, no text and no socket: `now` is an argument and the length of an
answer is known beforehand. It follows the scheduler of vLLM v1:

- a step has a token budget; running sequences decode one token each, prefills in progress take what is left, then
  waiting requests are admitted in order of arrival while seats, budget and KV last;
- KV is taken block by block; where none is left the newest sequence is preempted, loses its KV and goes back to the
  head of the queue, to compute prompt and answer so far again; nobody is admitted in such a step;
- the first token comes with the step that computes the end of the prompt.

Left out: generated tokens do not enter the prefix cache (recorded traces do not hold them).

Steps in which nobody joins or leaves differ only by the growing context, so with `Reporting.MILESTONES` they run as
one *plan* in closed form: a run of decoding steps, or of chunks of one long prompt that leave no room for another.
"""

from collections import OrderedDict
from random import Random

from proxy.report.stats import Stats
from proxy.sim.engine.decoding import DecodingSet
from proxy.sim.engine.kv_pool import KvPool
from proxy.sim.engine.plan import Plan
from proxy.sim.engine.sequence import Chunk, Emitted, Reporting, Sequence, SimRequest, StepEnd
from proxy.sim.engine.spec import EngineSpec


class Engine:
    """`submit`, `cancel`, `advance`, `next_event_at`; time never goes backwards."""

    def __init__(
        self,
        spec: EngineSpec,
        reporting: Reporting = Reporting.EVERY_STEP,
        noise: float = 0.0,
        chance: Random | None = None,
    ) -> None:
        """`noise`: standard deviation of the logarithm of a step's length, drawn from `chance` for each step."""
        self.spec = spec
        self.stats = Stats()
        self.pool = KvPool(spec.kv_blocks, spec.prefix_tokens // spec.block_tokens)
        self._reporting = reporting
        self._noise, self._chance = noise, chance
        self._one_by_one = reporting is Reporting.EVERY_STEP or chance is not None
        """Steps are not alike: each is a plan of its own."""
        self._waiting: OrderedDict[int, Sequence] = OrderedDict()
        self._running: dict[int, Sequence] = {}
        """In order of admission."""
        self._prefilling: list[Sequence] = []
        self._decoding = DecodingSet(spec.block_tokens)
        self._plan: Plan | None = None
        self._outbox: list[Emitted] = []
        self.changes = 0
        """Grows with whatever decides anew on what is computed."""

    @property
    def running(self) -> int:
        """Requests in the batch."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    @property
    def kv_usage(self) -> float:
        """Share of the KV budget in use, 0 to 1."""
        return self.pool.used / self.pool.total

    def after_this_step(self, now: float) -> StepEnd:
        """How things stand when the step that is being computed has ended. For those who may look inside."""
        plan = self._plan
        done = 0 if plan is None else plan.steps_done_at(now) + 1
        chunks = {} if plan is None else {s.request.id: tokens * done for s, tokens in plan.chunks}
        pending, decoding = [], []
        for sequence in (*self._prefilling, *self._waiting.values()):
            computed = sequence.computed + chunks.get(sequence.request.id, 0)
            if computed < sequence.target:
                pending.append((sequence, computed))
            else:
                decoding.append((sequence, sequence.request.output_tokens - sequence.emitted - 1))
        step = self._decoding.step + done
        decoding += [(s, s.finish_step - step) for s in self._running.values() if s.since_step is not None]
        left_s = 0.0 if plan is None else max(0.0, plan.end_of(done) - now)
        return StepEnd(left_s, pending, decoding, self._decoding.kv_tokens + self._decoding.size * done)

    def moment(self, now: float) -> tuple[int, int, float]:
        """As long as `changes` and the first number are the same, `after_this_step` differs only by the steps done: the
        second is how many that will be when this one ends. The third: seconds until then. For those who may look."""
        plan = self._plan
        if plan is None:
            return 0, self._decoding.step, 0.0
        done = plan.steps_done_at(now) + 1
        return done if plan.chunks else 0, self._decoding.step + done, max(0.0, plan.end_of(done) - now)

    def decoded(self, now: float) -> tuple[int, int]:
        """Decode steps since the start, and the requests that are in them now."""
        self._run_until(now)
        plan = self._plan
        done = 0 if plan is None or not plan.steps else plan.steps_done_at(now)
        return self._decoding.step + done, self._decoding.size

    def next_event_at(self) -> float | None:
        """When `advance` will next have something to do."""
        return None if self._plan is None else self._plan.end

    def submit(self, request: SimRequest, now: float) -> None:
        """Put a request at the end of the queue. Raises ValueError for one that can never fit."""
        self._check(request)
        self._run_until(now)
        may_join = self._may_join()
        self._waiting[request.id] = Sequence(request, target=request.prompt_tokens)
        self.changes += 1
        if self._plan is None:
            self._begin(now)
        elif may_join:
            self._cut(now)

    def cancel(self, request_id: int, now: float) -> bool:
        """Forget a request and free what it holds, at once; False when it is not here (any more)."""
        self._run_until(now)
        if request_id not in self._waiting and request_id not in self._running:
            return False
        self._cut(now)
        self.changes += 1
        if request_id in self._running:
            self._leave(self._running.pop(request_id))
        else:
            del self._waiting[request_id]
        self.stats.aborted += 1
        self._outbox = [emitted for emitted in self._outbox if emitted.id != request_id]
        return True

    def change_spec(self, spec: EngineSpec, now: float) -> None:
        """Other times per step from the next step on; sizes stay as they are."""
        self._run_until(now)
        self._cut(now)
        self.changes += 1
        self.spec = spec

    def advance(self, now: float) -> list[Emitted]:
        """Run up to `now`; what happened, in order."""
        self._run_until(now)
        outbox, self._outbox = self._outbox, []
        return outbox

    def _check(self, request: SimRequest) -> None:
        if request.prompt_tokens < 1 or request.output_tokens < 0:
            raise ValueError("a request has a prompt of at least one token")
        if request.prompt_tokens + request.output_tokens > self.spec.max_model_len:
            raise ValueError(f"{request.prompt_tokens} + {request.output_tokens} tokens exceed max_model_len")
        if request.id in self._running or request.id in self._waiting:
            raise ValueError(f"request {request.id} is already here")

    # steps

    def _run_until(self, now: float) -> None:
        while self._plan is not None and self._plan.end <= now:
            plan = self._plan
            self._complete(plan, plan.steps, plan.end)
            self._begin(plan.end)

    def _cut(self, now: float) -> None:
        """End the plan with the step that is being computed, because the batch will change after it."""
        plan = self._plan
        if plan is None or plan.steps == 1:
            return
        done = plan.steps_done_at(now)
        self._complete(plan, done, plan.end_of(done))
        self._plan = plan.only_step(done)
        self.changes += 1

    def _begin(self, at: float) -> None:
        """Decide what the next step computes."""
        self.changes += 1
        preemptions = self.stats.preemptions
        while self._unreserved() < 0:
            self._preempt_newest()
        chunks = self._continue_prefills(self._budget())
        preempted = self.stats.preemptions > preemptions
        if self._waiting and not preempted:
            self._admit(chunks, at)
        if chunks:
            self._plan = self._prefill_plan(at, chunks, preempted)
        elif self._decoding.size:
            self._plan = self._decode_plan(at, 1 if preempted else self._steps_alike())
        else:
            assert not self._running, "sequences run but nothing is computed"
            self._plan = None
        if self._chance is not None and self._plan is not None:
            self._plan = self._noisy(self._plan)

    def _noisy(self, plan: Plan) -> Plan:
        if self._chance is None:
            return plan
        return plan.taking(self._chance.lognormvariate(-self._noise * self._noise / 2, self._noise))

    def _budget(self) -> int:
        return self.spec.token_budget - self._decoding.size

    def _mixed_step_s(self, chunks: list[Chunk]) -> float:
        prefill = sum(self.spec.prefill_s(sequence.computed, tokens) for sequence, tokens in chunks)
        return max(self.spec.step_s, prefill + self.spec.decode_s(self._decoding.size, self._decoding.kv_tokens))

    def _prefill_plan(self, at: float, chunks: list[Chunk], preempted: bool) -> Plan:
        first_s = self._mixed_step_s(chunks)
        steps = 1 if preempted or first_s <= self.spec.step_s else self._chunks_alike(chunks)
        if steps < 2:
            return Plan(at, 1, first_s, 0.0, chunks)
        tokens = chunks[0][1]
        growth = 2 * self.spec.prefill_s_per_token2 * tokens * tokens
        return Plan(at, steps, first_s, growth + self._decode_growth_s(), chunks)

    def _chunks_alike(self, chunks: list[Chunk]) -> int:
        """Steps that one long prompt fills from edge to edge, so that nobody ends and nobody can join."""
        sequence, tokens = chunks[0]
        left = (sequence.target - sequence.computed) // tokens
        if len(chunks) > 1 or left < 2 or tokens < self._budget() or self._one_by_one:
            return 1
        steps = min(left, self._decoding.steps_to_first_end())
        end = sequence.computed + steps * tokens
        blocks = self._blocks_for(end) - self._blocks_for(sequence.computed + tokens)
        return steps if blocks + self._decoding.blocks_needed(steps) <= self.pool.available else 1

    def _steps_alike(self) -> int:
        """Steps in which nobody ends, is preempted or could be admitted, unless somebody arrives or leaves."""
        if self._one_by_one:
            return 1
        return self._decoding.steps_within(self._decoding.steps_to_first_end(), self.pool.available)

    def _decode_plan(self, at: float, steps: int) -> Plan:
        first_s = self.spec.decode_s(self._decode_batch(), self._decoding.kv_tokens)
        return Plan(at, steps, first_s, self._decode_growth_s(), [])

    def _decode_growth_s(self) -> float:
        return self.spec.decode_growth_s(self._decode_batch(), self._decoding.size)

    def _decode_batch(self) -> int:
        return self._decoding.size

    # KV

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.spec.block_tokens)

    def _unreserved(self) -> int:
        """Blocks left when the decoding sequences have got theirs for this step."""
        return self.pool.available - self._decoding.blocks_needed()

    def _preempt_newest(self) -> Sequence:
        sequence = self._running.popitem()[1]
        self._leave(sequence)
        sequence.target = sequence.request.prompt_tokens + sequence.emitted
        sequence.computed = sequence.shared = sequence.private = 0
        self._waiting[sequence.request.id] = sequence
        self._waiting.move_to_end(sequence.request.id, last=False)
        self.stats.preemptions += 1
        return sequence

    def _leave(self, sequence: Sequence) -> None:
        """Take a sequence out of the step and free its KV."""
        if sequence.since_step is not None:
            self._decoding.remove(sequence)
            sequence.private = self._blocks_for(sequence.computed) - sequence.shared * self.pool.blocks_per_node
        else:
            self._prefilling.remove(sequence)
            if self._plan is not None:
                self._plan.drop(sequence)
        self.pool.give(sequence.private)
        self.pool.release(sequence.request.prefix_hashes[: sequence.shared])

    # prefill

    def _continue_prefills(self, budget: int) -> list[Chunk]:
        chunks: list[Chunk] = []
        for sequence in tuple(self._prefilling):
            tokens = min(budget, sequence.target - sequence.computed)
            if tokens <= 0 or not self._make_room_for(sequence, tokens):
                break
            blocks = self._new_blocks(sequence, tokens)
            self.pool.take(blocks)
            sequence.private += blocks
            chunks.append((sequence, tokens))
            budget -= tokens
        return chunks

    def _make_room_for(self, sequence: Sequence, tokens: int) -> bool:
        """Preempt newer sequences until the chunk fits; False when the sequence itself had to go."""
        if sequence.request.id not in self._running:
            return False
        while self._new_blocks(sequence, tokens) > self._unreserved():
            if self._preempt_newest() is sequence:
                return False
        return True

    def _new_blocks(self, sequence: Sequence, tokens: int) -> int:
        held = sequence.private + sequence.shared * self.pool.blocks_per_node
        return self._blocks_for(sequence.computed + tokens) - held

    def _has_seat(self) -> bool:
        return len(self._running) < self.spec.max_num_seqs

    def _may_join(self) -> bool:
        """Whether a newcomer could be admitted after the step that is being computed, and not only after the plan."""
        if self._waiting or not self._has_seat():
            return False
        plan = self._plan
        return plan is None or plan.steps < 2 or not plan.chunks

    def _admit(self, chunks: list[Chunk], at: float) -> None:
        """Move requests from the queue into the batch, in order, while seats, budget and KV last."""
        budget = self._budget() - sum(tokens for _, tokens in chunks)
        while self._waiting and budget > 0 and self._has_seat():
            sequence = next(iter(self._waiting.values()))
            tokens = self._try_admit(sequence, budget)
            if not tokens:
                return
            self._note_admission(sequence, at)
            chunks.append((sequence, tokens))
            budget -= tokens

    def _try_admit(self, sequence: Sequence, budget: int) -> int:
        """Tokens of its first chunk; 0 when the KV it needs is not there."""
        hashes = sequence.request.prefix_hashes if self.spec.prefix_caching else ()
        found, idle_blocks = self.pool.match(hashes, (sequence.target - 1) // self.spec.prefix_tokens)
        computed = max(found * self.spec.prefix_tokens, min(sequence.request.cached_tokens, sequence.target - 1))
        tokens = min(budget, sequence.target - computed)
        blocks = self._blocks_for(computed + tokens) - found * self.pool.blocks_per_node
        if blocks + idle_blocks > self._unreserved():
            return 0
        self.pool.acquire(hashes[:found])
        self.pool.take(blocks)
        sequence.computed, sequence.shared, sequence.private = computed, found, blocks
        return tokens

    def _note_admission(self, sequence: Sequence, at: float) -> None:
        request = sequence.request
        del self._waiting[request.id]
        self._running[request.id] = sequence
        self._prefilling.append(sequence)
        if sequence.scheduled_at is None:
            sequence.scheduled_at = at
            sequence.cached_tokens = sequence.computed
            self.stats.prefix_queries += request.prompt_tokens
            self.stats.prefix_hits += sequence.computed

    # results

    def _complete(self, plan: Plan, done: int, at: float) -> None:
        """Account for whole steps that have been computed: the first `done` of a plan."""
        self.stats.busy_s += plan.end_of(done) - plan.start
        whole = done == plan.steps
        if plan.chunks and plan.steps > 1:
            sequence, tokens = plan.chunks[0]
            for _ in range(done - whole):
                self._decode(1)
                self._fill_on(sequence, tokens)
            done = int(whole)
        if done:
            self._decode(done)
        if self._reporting is Reporting.EVERY_STEP:
            self._report_decoding(at)
        while (ended := self._decoding.next_ended()) is not None:
            self._finish(ended, at)
        if whole:
            for sequence, tokens in plan.chunks:
                self._end_chunk(sequence, tokens, at)

    def _decode(self, steps: int) -> None:
        if self._decoding.size:
            self.pool.take(self._decoding.blocks_needed(steps))
            self.stats.generation_tokens += self._decoding.size * steps
        self._decoding.advance(steps)

    def _fill_on(self, sequence: Sequence, tokens: int) -> None:
        """A chunk of a plan of several is computed, and the next one as long gets its blocks."""
        sequence.computed += tokens
        self._publish_prefix(sequence)
        blocks = self._new_blocks(sequence, tokens)
        self.pool.take(blocks)
        sequence.private += blocks

    def _report_decoding(self, at: float) -> None:
        for sequence in self._running.values():
            if sequence.since_step is not None and sequence.finish_step > self._decoding.step:
                self._report(sequence, self._decoding.emitted(sequence), False, at)

    def _end_chunk(self, sequence: Sequence, tokens: int, at: float) -> None:
        sequence.computed += tokens
        self._publish_prefix(sequence)
        if sequence.computed < sequence.target:
            return
        if not sequence.emitted:
            self.stats.prompt_tokens += sequence.request.prompt_tokens
        if sequence.emitted < sequence.request.output_tokens:
            sequence.emitted += 1
            self.stats.generation_tokens += 1
        if sequence.emitted == sequence.request.output_tokens:
            self._finish(sequence, at)
            return
        self._prefilling.remove(sequence)
        self._decoding.add(sequence)
        self._report(sequence, sequence.emitted, False, at)

    def _publish_prefix(self, sequence: Sequence) -> None:
        """Whole pieces of the prompt that are computed now may serve others."""
        if not self.spec.prefix_caching:
            return
        hashes = sequence.request.prefix_hashes
        whole = min(len(hashes), sequence.computed // self.spec.prefix_tokens)
        if whole > sequence.shared:
            self.pool.publish(hashes[sequence.shared : whole])
            sequence.private -= self.pool.blocks_per_node * (whole - sequence.shared)
            sequence.shared = whole

    def _finish(self, sequence: Sequence, at: float) -> None:
        del self._running[sequence.request.id]
        self._leave(sequence)
        self.stats.finished += 1
        self._report(sequence, sequence.emitted, True, at)

    def _report(self, sequence: Sequence, emitted: int, finished: bool, at: float) -> None:
        new = emitted - sequence.reported
        sequence.reported = emitted
        request_id = sequence.request.id
        self._outbox.append(
            Emitted(request_id, new, finished, at, sequence.scheduled_at or 0.0, sequence.cached_tokens)
        )
