"""Sessions: who continues whom, what is held for those that are away, and that none of it grows."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.plain import read
from proxy.core.learn import sessions
from proxy.core.learn.sessions import MAX_AWAY_S, Kept, Session, Sessions
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Dispatch, Failed, Finished, FirstToken, Probed, Restarted
from proxy.model.faults import Kind, Retry, upstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings

BLOCK = 128
KV = 40_000


def chain(name: str, blocks: int, shared: int = 8) -> tuple[int, ...]:
    """Prompt of a conversation; the first blocks are everybody's."""
    return tuple(hash(("shared" if i < shared else name, i)) for i in range(blocks))


class Bed:
    """A scheduler before engines that have learned what they cost: 0.2 s per 1,000 tokens."""

    def __init__(self, count: int = 2, kv: int | None = KV, mode: str = "enforce", permits: int | None = None) -> None:
        specs = [
            BackendSpec(f"b{i}", models=frozenset({"m"}), kv_tokens=kv, max_concurrency=permits) for i in range(count)
        ]
        settings = read(SchedulingSettings, {"explore": 0, "admission": {"mode": mode}})
        self.scheduler = Scheduler(
            specs,
            scheduling=settings,
            retries=RetrySettings(),
            hold=HoldSettings(),
            health=HealthSettings(),
            rng=Random(1),
        )
        self.now, self.jobs = 10.0, 0
        for backend in self.backends:
            self.scheduler.observe(Probed(backend.name, True, frozenset({"m"})), self.now)
            backend.model.pool.prefill.coefficients = [0.01, 2.0, 0.0, 0.0]
            backend.model._blend()

    @property
    def backends(self) -> Any:
        return self.scheduler._fleet.backends

    @property
    def sessions(self) -> Sessions:
        return self.scheduler._learning.sessions

    def submit(self, prefix: tuple[int, ...], **more: Any) -> tuple[int, str]:
        """The job, and where it went; empty: nowhere."""
        self.jobs += 1
        fields: dict[str, Any] = {"body_bytes": len(prefix) * 512 + 100, "stream": True, "slo_ttft_s": 1.0, **more}
        commands = self.scheduler.submit(Job(self.jobs, "m", prefix=prefix, **fields), self.now)
        return self.jobs, next((c.backend for c in commands if isinstance(c, Dispatch) and c.jobs == (self.jobs,)), "")

    def finish(self, job_id: int, blocks: int, answer: int = 50) -> None:
        """As predicted; nothing where it is held."""
        for attempt in list(self.scheduler._attempts.open[job_id].attempts):
            self.now += max(0.01, attempt.entry.ttft)
            self.scheduler.observe(FirstToken(attempt.id), self.now)
            self.now += 0.1
            self.scheduler.observe(Finished(attempt.id, blocks * BLOCK + 20, None, answer), self.now)

    def turn(self, name: str, blocks: int, **more: Any) -> str:
        job_id, where = self.submit(chain(name, blocks), **more)
        if where:
            self.finish(job_id, blocks)
        self.now += 2.0
        return where

    def held(self) -> float:
        return float(sum(session.held for session in self.sessions._known))

    def assert_consistent(self) -> None:
        """The sums are those of the sessions."""
        known = list(self.sessions._known)
        for backend in self.backends:
            mine = [s for s in known if s.place is backend.kept]
            assert backend.kept.fragile == pytest.approx(sum(s.held for s in mine if s.fragile), abs=1e-3)
        assert self.sessions._growing == sum(s.turns > 1 for s in known)
        assert all(s.open >= 0 for s in known)
        assert len(self.sessions._tails) <= len(known)
        assert len(self.sessions._keys) <= len(known)


# ---- who continues whom


def test_a_prompt_that_begins_with_the_last_one_is_the_next_turn() -> None:
    bed = Bed()
    bed.turn("a", 20)
    assert bed.sessions.find(Job(9, "m", prefix=chain("a", 26))) is not None
    assert bed.sessions.find(Job(9, "m", prefix=chain("a", 19))) is None, "it was longer before"
    assert bed.sessions.find(Job(9, "m", prefix=chain("b", 26))) is None, "it only begins alike"
    assert bed.sessions.find(Job(9, "m")) is None


def test_the_next_turn_goes_where_the_last_one_was() -> None:
    bed = Bed(4)
    homes = {name: bed.turn(name, 60) for name in "abcd"}
    for blocks in (70, 80, 90):
        assert {name: bed.turn(name, blocks) for name in "dbca"} == homes


def test_a_holder_that_is_busy_loses() -> None:
    bed = Bed(2, kv=None)
    home = bed.turn("a", 20)
    for i in range(3):
        other, where = bed.submit(chain(f"long{i}", 200), slo_ttft_s=None, slo_tpot_s=None)
        if where != home:
            bed.finish(other, 200)
    assert bed.scheduler._fleet.by_name[home].ledger.pending, "otherwise this shows nothing"
    assert bed.turn("a", 24) not in ("", home)


def test_tokens_that_the_engine_has_counted_are_not_estimated() -> None:
    """A body of any size: what the last turn was is known, and what is new are a few blocks."""
    bed = Bed(1)
    bed.turn("a", 80)
    job = Job(7, "m", prefix=chain("a", 84), body_bytes=9_000_000)
    demand = bed.scheduler._learning.demand(open_job_of_session(job, bed.now), bed.now)
    assert demand.prompt == pytest.approx(84 * BLOCK, rel=0.02)


def open_job_of_session(job: Job, now: float) -> Any:
    from proxy.core.jobs.open_job import OpenJob

    return OpenJob(job, 1, now)


def test_keys_belong_to_their_tenant() -> None:
    bed = Bed()
    bed.turn("a", 3, session="k", tenant="x")
    bed.finish(bed.submit((1, 2), session="k", tenant="y")[0], 2)
    assert len(bed.sessions) == 2


def test_who_has_another_name_is_another_one() -> None:
    """Two whose first prompts end in the system prompt that they share."""
    bed = Bed()
    bed.turn("a", 8, session="one")
    assert bed.sessions.find(Job(9, "m", prefix=chain("b", 8), session="two")) is None
    assert bed.sessions.find(Job(9, "m", prefix=chain("a", 12), session="one")) is not None


def test_a_key_that_many_share_is_not_one_conversation() -> None:
    bed = Bed()
    first, _ = bed.submit(chain("a", 40), session="app")
    second, _ = bed.submit(chain("b", 40), session="app")
    assert len(bed.sessions) == 2
    bed.finish(first, 40)
    bed.finish(second, 40)
    bed.assert_consistent()


def test_a_conversation_that_was_compacted_holds_what_it_is_now() -> None:
    bed = Bed(1)
    bed.turn("a", 100, session="k")
    before = bed.held()
    bed.turn("compacted", 20, session="k")
    assert len(bed.sessions) == 1
    assert bed.held() < before
    bed.assert_consistent()


def test_the_same_prompt_again_is_no_conversation() -> None:
    bed = Bed()
    for _ in range(10):
        bed.turn("health", 60)
    assert bed.held() == 0


# ---- what is held


def test_a_session_that_is_away_is_not_forgotten() -> None:
    bed = Bed(1)
    bed.turn("a", 60)
    assert bed.held() == 0, "most requests are nobody's first turn"
    bed.turn("a", 70)
    assert bed.held() >= 70 * BLOCK
    job_id, _ = bed.submit(chain("a", 80))
    assert bed.held() == 0, "it is in the ledger now"
    bed.finish(job_id, 80)
    assert bed.held() >= 80 * BLOCK


def test_a_chat_of_few_turns_keeps_nobody_out() -> None:
    """Who waits for it has as much to lose, and bulk beside chats would never begin."""
    bed = Bed(1)
    for name in ("a", "b", "c", "d"):
        for blocks in (70, 80, 90, 100):
            bed.turn(name, blocks)
    assert bed.held() > 0.9 * KV
    assert bed.turn("new", 60) == "b0"
    assert bed.submit(chain("bulk", 60), slo_ttft_s=None)[1] == "b0"


def test_newcomers_do_not_take_what_others_need() -> None:
    bed = Bed(1)
    for blocks in (50, 65, 75, 85, 100):
        for name in ("a", "b", "c"):
            bed.turn(name, blocks)
    assert bed.backends[0].kept.fragile > 0.7 * KV
    assert bed.submit(chain("new", 60))[1] == ""
    assert bed.turn("a", 104) == "b0", "who is there goes on"


def test_where_nothing_would_be_late_newcomers_are_welcome() -> None:
    bed = Bed(1)
    for name in ("a", "b", "c"):
        for blocks in (70, 80, 90):
            bed.turn(name, blocks, slo_ttft_s=None)
    assert bed.turn("new", 60) == "b0"


def test_newcomers_go_where_there_is_room() -> None:
    bed = Bed(2, kv=60_000)
    full = sessions_that_fill_one(bed, slo_ttft_s=1.0)
    assert kept_of(bed, full).fragile
    assert [bed.turn(f"new{i}", 20, slo_ttft_s=1.0) for i in range(5)].count(full) == 0


def test_what_nobody_would_miss_keeps_no_newcomer_away() -> None:
    """It would send them to the slowest engine, which is the emptiest."""
    bed = Bed(2, kv=60_000)
    full = sessions_that_fill_one(bed, slo_ttft_s=None)
    assert not kept_of(bed, full).fragile
    assert [bed.turn(f"new{i}", 20, slo_ttft_s=None) for i in range(12)].count(full) > 2


def kept_of(bed: Bed, name: str) -> Kept:
    (kept,) = [backend.kept for backend in bed.backends if backend.name == name]
    assert isinstance(kept, Kept)
    return kept


def sessions_that_fill_one(bed: Bed, slo_ttft_s: float | None) -> str:
    for blocks in (150, 200, 230, 260, 280, 300):
        where = bed.turn("a", blocks, slo_ttft_s=slo_ttft_s)
    return where


def test_who_does_not_come_back_leaves_the_memory_to_others() -> None:
    bed = Bed(1)
    for name in ("a", "b", "c"):
        for blocks in (70, 80, 90):
            bed.turn(name, blocks)
    bed.now += MAX_AWAY_S + 1
    assert bed.turn("new", 60) == "b0"
    assert len(bed.sessions) == 1
    bed.assert_consistent()


def test_how_long_they_stay_away_is_learned() -> None:
    bed = Bed(1, kv=None)
    for blocks in range(20, 220):
        bed.turn("a", blocks, slo_ttft_s=None)
    assert bed.sessions.keep_s < 0.5 * MAX_AWAY_S


def test_an_engine_that_restarted_holds_nothing() -> None:
    bed = Bed(1)
    bed.turn("a", 60)
    bed.turn("a", 70)
    bed.scheduler.observe(Restarted("b0"), bed.now)
    assert bed.held() == 0
    bed.assert_consistent()


# ---- bounds


def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Sessions()
    backend = Bed(1).backends[0]
    for i in range(sessions.MAX_SESSIONS + 100):
        session = known.sent(None, Job(i, "m", prefix=(i, -i), session=f"s{i}"), backend.kept, 1.0)
        assert session is not None
        known.ended(session, 10.0, True, 1.0)
    assert len(known) == len(known._tails) == len(known._keys) == sessions.MAX_SESSIONS
    assert sum(session.held for session in known._known) == pytest.approx(10.0 * sessions.MAX_SESSIONS)
    known.expire(1.0 + MAX_AWAY_S + 1)
    assert (len(known), len(known._tails), len(known._keys), backend.kept.fragile) == (0, 0, 0, 0.0)


def test_one_that_is_under_way_is_not_over() -> None:
    known = Sessions()
    session = known.sent(None, Job(1, "m", prefix=(1,)), Bed(1).backends[0].kept, 1.0)
    known.expire(1e4)
    assert len(known) == 1
    assert isinstance(session, Session)
    known.ended(session, 5.0, False, 1e4)
    known.expire(2e4)
    assert len(known) == 0


LIVES = st.lists(
    st.tuples(
        st.sampled_from(["turn", "open", "finish", "fail", "cancel", "later", "restart"]),
        st.sampled_from("abc"),
        st.integers(1, 40),
        st.sampled_from(["", "k"]),
    ),
    max_size=40,
)


@given(LIVES)
def test_whatever_happens_the_sums_are_those_of_the_sessions(life: list[tuple[str, str, int, str]]) -> None:
    bed = Bed(2)
    under_way: list[tuple[int, int]] = []
    for what, name, blocks, key in life:
        if what == "turn":
            bed.turn(name, blocks, session=key)
        elif what == "open":
            job_id, where = bed.submit(chain(name, blocks), session=key)
            under_way += [(job_id, blocks)] if where else []
        elif what == "later":
            bed.now += 10 * blocks
            bed.scheduler.tick(bed.now)
        elif what == "restart":
            bed.scheduler.observe(Restarted("b0"), bed.now)
        elif under_way:
            job_id, length = under_way.pop(0)
            if job_id not in bed.scheduler._attempts.open:
                continue
            if what == "finish":
                bed.finish(job_id, length)
            elif what == "cancel":
                bed.scheduler.cancel(job_id, bed.now)
            else:
                fault = upstream(Kind.RESET, "gone", Retry.SAFE)
                for attempt in list(bed.scheduler._attempts.open[job_id].attempts):
                    bed.scheduler.observe(Failed(attempt.id, fault, True), bed.now)
        bed.assert_consistent()
    while opened := list(bed.scheduler._attempts.open):  # those that were held have gone in the meantime
        for job_id in opened:
            if job_id in bed.scheduler._attempts.open:
                bed.finish(job_id, 10)
            bed.now += 40.0
            bed.scheduler.tick(bed.now)
    bed.now += 2 * MAX_AWAY_S
    bed.sessions.expire(bed.now)
    bed.assert_consistent()
    assert len(bed.sessions) == 0
    assert bed.held() == pytest.approx(0.0, abs=1e-3)


def test_a_session_that_is_over_before_its_next_turn_can_go_is_not_gone_on_with() -> None:
    """Looked for once, while its job waits for a permit; forgotten meanwhile, it is counted once."""
    bed = Bed(1, permits=1)
    for blocks in (20, 24):
        bed.turn("a", blocks)
    busy, _ = bed.submit(chain("b", 4))
    waiting, where = bed.submit(chain("a", 28), slo_ttft_s=None)
    assert where == ""
    bed.sessions.expire(bed.now + MAX_AWAY_S + 1)
    bed.finish(busy, 4)
    bed.finish(waiting, 28)
    bed.assert_consistent()
