"""The modelled engine against its invariants, and against hand-computed timings."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.sim.engine.engine import Engine
from proxy.sim.engine.sequence import Emitted, Reporting, SimRequest
from proxy.sim.engine.spec import EngineKind, EngineSpec
from proxy.sim.engine.static import build_engine

SPEC = EngineSpec(
    prefill_s_per_token=0.001,
    prefill_s_per_token2=0.0,
    step_s=0.01,
    step_s_per_sequence=0.001,
    step_s_per_kv_token=1e-6,
    kv_tokens=640,
    block_tokens=16,
    prefix_tokens=16,
    token_budget=64,
    max_num_seqs=8,
    max_model_len=320,
)


def drain(engine: Engine) -> list[Emitted]:
    """Everything that happens until the engine is at rest."""
    out: list[Emitted] = []
    for _ in range(100_000):
        at = engine.next_event_at()
        if at is None:
            return out
        out += engine.advance(at)
    raise AssertionError("the engine never came to rest")


def check_blocks(engine: Engine) -> None:
    """What the sequences hold is what the pool says is used, and no more than there is."""
    pool = engine.pool
    private = 0
    for sequence in engine._running.values():
        computed = sequence.computed
        if sequence.since_step is not None:
            computed += engine._decoding.step - sequence.since_step
            private += engine._blocks_for(computed) - sequence.shared * pool.blocks_per_node
        else:
            private += sequence.private
    assert pool.private == private
    assert pool.used + pool.cached <= pool.total
    assert engine._decoding.size == sum(s.since_step is not None for s in engine._running.values())
    assert len(engine._running) <= engine.spec.max_num_seqs


def check_at_rest(engine: Engine) -> None:
    """Nothing is held by nobody."""
    assert (engine.running, engine.waiting, engine.pool.used) == (0, 0, 0)
    assert engine._decoding.size == engine._decoding.kv_tokens == 0
    assert not any(engine._decoding._phases)
    assert not engine._prefilling


def test_one_request_takes_prefill_plus_a_step_per_further_token() -> None:
    engine = Engine(SPEC)
    engine.submit(SimRequest(1, prompt_tokens=100, output_tokens=3), 5.0)
    events = drain(engine)
    first = 5.0 + 0.064 + 0.036  # two chunks: 64 and 36 tokens
    second = first + 0.01 + 0.001 + 100e-6
    third = second + 0.01 + 0.001 + 101e-6
    assert [event.at for event in events] == pytest.approx([first, second, third])
    assert [(event.tokens, event.finished) for event in events] == [(1, False), (1, False), (1, True)]
    assert engine.stats.prompt_tokens == 100
    assert engine.stats.generation_tokens == 3
    check_at_rest(engine)


def test_a_newcomer_joins_at_the_next_step_and_slows_the_batch() -> None:
    engine = Engine(SPEC, Reporting.MILESTONES)
    engine.submit(SimRequest(1, 10, 200), 0.0)
    alone = 0.01 + 0.001
    engine.submit(SimRequest(2, 10, 2), 0.5)
    events = drain(engine)
    first_of_second = next(event for event in events if event.id == 2)
    assert 0.5 < first_of_second.at < 0.5 + 2 * alone + 0.02
    assert first_of_second.scheduled_at >= 0.5
    assert sum(event.tokens for event in events if event.id == 1) == 200


def test_seats_are_given_in_order_of_arrival() -> None:
    engine = Engine(replace(SPEC, max_num_seqs=1), Reporting.MILESTONES)
    for number in range(4):
        engine.submit(SimRequest(number, 5, 5), 0.0)
    assert (engine.running, engine.waiting) == (1, 3)
    assert [event.id for event in drain(engine) if event.finished] == [0, 1, 2, 3]


def test_an_embedding_is_prefill_only() -> None:
    engine = Engine(SPEC)
    engine.submit(SimRequest(1, 30, 0), 0.0)
    assert drain(engine) == [Emitted(1, 0, True, pytest.approx(0.03), 0.0, 0)]


def test_a_prompt_seen_before_is_found_in_the_cache_except_its_last_token() -> None:
    engine = Engine(SPEC)
    engine.submit(SimRequest(1, 64, 1, (1, 2, 3, 4)), 0.0)
    drain(engine)
    engine.submit(SimRequest(2, 64, 1, (1, 2, 3, 4)), 1.0)
    engine.submit(SimRequest(3, 70, 1, (1, 2, 9, 4)), 1.0)
    cached = {event.id: event.cached_tokens for event in drain(engine)}
    assert cached == {2: 48, 3: 32}
    assert engine.stats.prefix_hits == 80
    check_at_rest(engine)


def test_the_newest_is_preempted_when_kv_runs_out_and_nothing_is_lost() -> None:
    engine = Engine(replace(SPEC, kv_tokens=320, max_model_len=320), Reporting.MILESTONES)
    engine.submit(SimRequest(1, 100, 200), 0.0)
    engine.submit(SimRequest(2, 100, 60), 0.0)
    events = drain(engine)
    assert engine.stats.preemptions > 0
    assert {i: sum(e.tokens for e in events if e.id == i) for i in (1, 2)} == {1: 200, 2: 60}
    assert [event.id for event in events if event.finished] == [1, 2], "the older one is never the victim"
    check_at_rest(engine)


def test_cancel_frees_at_once_in_the_middle_of_a_step_and_of_a_plan() -> None:
    for reporting in Reporting:
        engine = Engine(SPEC, reporting)
        engine.submit(SimRequest(1, 100, 100), 0.0)
        engine.submit(SimRequest(2, 100, 100), 0.0)
        assert engine.cancel(1, 0.03)
        assert (engine.running, engine.waiting) == (0, 1), "the step that computes for nobody has to end first"
        engine.advance(1.0)
        assert engine.cancel(2, 1.0003)
        assert engine.pool.used == 0
        assert not engine.cancel(2, 1.0004)
        assert engine.stats.aborted == 2
        assert [event for event in drain(engine) if event.id == 2] == []
        check_at_rest(engine)


def test_a_cancelled_request_at_the_head_makes_way() -> None:
    engine = Engine(replace(SPEC, kv_tokens=320, max_model_len=320), Reporting.MILESTONES)
    engine.submit(SimRequest(1, 150, 100), 0.0)
    engine.advance(0.5)
    engine.submit(SimRequest(2, 310, 1), 0.5)
    engine.submit(SimRequest(3, 10, 1), 0.5)
    engine.advance(0.6)
    engine.cancel(2, 0.6)
    finished = [event.id for event in drain(engine) if event.finished]
    assert finished[0] == 3


def test_what_can_never_fit_is_refused() -> None:
    engine = Engine(SPEC)
    engine.submit(SimRequest(1, 10, 10), 0.0)
    for request in (SimRequest(2, 300, 21), SimRequest(3, 0, 1), SimRequest(4, 1, -1), SimRequest(1, 1, 1)):
        with pytest.raises(ValueError):
            engine.submit(request, 0.0)
    assert engine.running + engine.waiting == 1


REQUESTS = st.lists(
    st.tuples(
        st.integers(1, 200),  # prompt
        st.integers(0, 120),  # output
        st.integers(0, 3),  # family of prefixes
        st.floats(0, 0.3),  # pause before it
        st.none() | st.floats(0, 2.0),  # patience
    ),
    min_size=1,
    max_size=25,
)


def as_requests(rows: list[tuple[int, int, int, float, float | None]]) -> list[tuple[float, SimRequest, float | None]]:
    now, out = 0.0, []
    for number, (prompt, output, family, pause, patience) in enumerate(rows):
        now += pause
        hashes = tuple(family * 1000 + i for i in range(prompt // 16)) if family else ()
        out.append((now, SimRequest(number, prompt, output, hashes), None if patience is None else now + patience))
    return out


def play(engine: Engine, rows: list[tuple[float, SimRequest, float | None]]) -> tuple[list[Emitted], set[int]]:
    """Arrivals and departures in order of time; who really left."""
    steps = [(at, 0, request.id, request) for at, request, _ in rows]
    steps += [(leaves, 1, request.id, None) for _, request, leaves in rows if leaves is not None]
    out: list[Emitted] = []
    left: set[int] = set()
    for at, _, number, request in sorted(steps, key=lambda step: step[:3]):
        while (due := engine.next_event_at()) is not None and due <= at:
            out += engine.advance(due)
            check_blocks(engine)
        if request is not None:
            engine.submit(request, at)
        elif engine.cancel(number, at):
            left.add(number)
        check_blocks(engine)
    while (due := engine.next_event_at()) is not None:
        out += engine.advance(due)
        check_blocks(engine)
    return out, left


@settings(max_examples=120, deadline=None)
@given(
    rows=REQUESTS,
    kind=st.sampled_from(EngineKind),
    reporting=st.sampled_from(Reporting),
    kv=st.sampled_from([320, 640]),
)
def test_kv_never_over_budget_nothing_lost_all_freed_at_rest(
    rows: list[tuple[int, int, int, float, float | None]], kind: EngineKind, reporting: Reporting, kv: int
) -> None:
    engine = build_engine(replace(SPEC, kv_tokens=kv).as_kind(kind), reporting)
    requests = as_requests(rows)
    events, left = play(engine, requests)
    check_at_rest(engine)
    for _, request, _ in requests:
        mine = [event for event in events if event.id == request.id]
        assert [event.at for event in mine] == sorted(event.at for event in mine)
        if request.id in left:
            assert not any(event.finished for event in mine)
        else:
            assert sum(event.tokens for event in mine) == request.output_tokens
            assert [event.finished for event in mine].count(True) == 1
            assert mine[-1].finished
    assert engine.stats.finished + engine.stats.aborted == len(requests)
    assert engine.stats.aborted == len(left)


@settings(max_examples=150, deadline=None)
@given(rows=REQUESTS, kind=st.sampled_from(EngineKind), kv=st.sampled_from([320, 640]))
def test_steps_run_together_end_when_steps_run_one_by_one_do(
    rows: list[tuple[int, int, int, float, float | None]], kind: EngineKind, kv: int
) -> None:
    requests = [(at, request, None) for at, request, _ in as_requests(rows)]
    results = []
    for reporting in Reporting:
        engine = build_engine(replace(SPEC, kv_tokens=kv).as_kind(kind), reporting)
        events, _ = play(engine, requests)
        firsts: dict[int, float] = {}
        for event in events:
            firsts.setdefault(event.id, event.at)
        ends = {event.id: event.at for event in events if event.finished}
        results.append((firsts, ends, engine.stats))
    (firsts, ends, stats), (other_firsts, other_ends, other_stats) = results
    assert firsts == pytest.approx(other_firsts, abs=1e-7)
    assert ends == pytest.approx(other_ends, abs=1e-7)
    assert replace(stats, busy_s=0.0) == replace(other_stats, busy_s=0.0)
    assert stats.busy_s == pytest.approx(other_stats.busy_s, abs=1e-7)


def test_same_requests_same_events() -> None:
    rows = as_requests([(17 * i % 190 + 1, 31 * i % 110, i % 4, 0.01, 0.9 if i % 5 == 0 else None) for i in range(60)])
    assert play(Engine(SPEC), rows) == play(Engine(SPEC), rows)
