"""Random lives of a scheduler: whatever happens in whatever order, the books balance and nobody waits for nothing."""

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.core.route.policies import POLICIES
from proxy.model.backend import BackendSpec
from proxy.model.commands import Failed, Finished
from proxy.model.faults import Blame, Kind, downstream, internal, upstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.scheduling import CoreSettings, SchedulingSettings
from tests.property.scheduler_life import Life

MODELS = ("x", "y", "z")
FAULTS = [
    *(upstream(kind, "failed") for kind in (Kind.CONNECT, Kind.RESET, Kind.ERROR_STATUS, Kind.CUT, Kind.BUSY)),
    upstream(Kind.BUSY, "come back", retry_after_s=3.0),
    upstream(Kind.ERROR_STATUS, "500", blame=Blame.LIKELY),
    upstream(Kind.MISCONFIGURED, "401", blame=Blame.UNPROVEN),
    upstream(Kind.CANNOT, "404", blame=Blame.UNPROVEN),
    downstream(Kind.LEFT, "left"),
    internal(Kind.BUG, "ours"),
]
LISTS = [frozenset("x"), frozenset("xy"), frozenset("xyz"), frozenset("y"), frozenset(), None]
SIZES = [0, 1, 15, 500]
SLACKS = [None, None, None, 20, 0.5, 0, -1]
PAUSES = [0, 0.001, 0.4, 1, 5, 29, 300]
CALM = {
    "submit": 12,
    "finish": 10,
    "fail": 2,
    "leave": 2,
    "late": 1,
    "first": 1,
    "probe": 2,
    "bad probes": 1,
    "lost probe": 1,
    "tick": 2,
    "sleep": 2,
    "timer": 1,
}
MOODS = {
    "calm": CALM,
    "overload": CALM | {"submit": 30, "finish": 8},
    "changing": CALM | {"submit": 20, "reconfigure": 5},
    "outage": CALM | {"submit": 30, "fail": 12, "bad probes": 5, "timer": 3},
}
"""How often each kind of step comes."""

backend_lists = st.lists(
    st.builds(
        lambda models, any_model, permits, aliases: {
            "models": models,
            "any_model": any_model,
            "max_concurrency": permits,
            "aliases": aliases,
        },
        st.sampled_from([frozenset("x"), frozenset("xy"), frozenset("xyz"), None]),
        st.sampled_from([False] * 7 + [True]),
        st.sampled_from([1, 2, 1, 2, 3, 1, 2, 1, 2, 3, 1, 2, None]),
        st.sampled_from([{}, {}, {"z": "x"}]),
    ),
    min_size=1,
    max_size=5,
)
hold_settings = st.builds(
    lambda jobs, ratio, size, wait: HoldSettings(min_jobs=jobs, per_in_flight=ratio, bytes=size, max_wait=float(wait)),
    st.sampled_from([6, 2, 6, 0]),
    st.sampled_from([2, 0.5, 0]),
    st.sampled_from([1000, 20]),
    st.sampled_from([30, 30, 1, 0]),
)
health_settings = st.builds(
    lambda row, samples, panic, ramp, eject: HealthSettings(
        consecutive_failures=row, min_samples=samples, panic_threshold=panic, slow_start=float(ramp), eject=float(eject)
    ),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([2, 20]),
    st.sampled_from([0.5, 0, 1]),
    st.sampled_from([0, 10]),
    st.sampled_from([5, 1, 0]),
)
retry_settings = st.builds(
    lambda attempts, ratio, per_s: RetrySettings(attempts=attempts, budget_ratio=ratio, budget_min_per_s=per_s),
    st.integers(1, 4),
    st.sampled_from([1, 0.1, 0]),
    st.sampled_from([1, 0.1, 0]),
)
NAMES = tuple(f"b{i}" for i in range(7))
POOLS = ("default", "other")


def named(shapes: list[dict[str, Any]], names: Sequence[str], pools: int) -> list[BackendSpec]:
    """Backends of these shapes, some of them in another pool."""
    chosen = zip(names, shapes, strict=False)
    return [BackendSpec(name, pool=POOLS[pools >> i & 1], **shape) for i, (name, shape) in enumerate(chosen)]


core_settings = st.builds(
    lambda policy, **bounds: CoreSettings(scheduling=SchedulingSettings(policy=policy), **bounds),
    st.sampled_from(sorted(POLICIES)),
    hold=hold_settings,
    health=health_settings,
    retries=retry_settings,
)
lives = st.builds(
    lambda shapes, **rest: Life([BackendSpec(f"b{i}", **shape) for i, shape in enumerate(shapes)], **rest),
    backend_lists,
    policy=st.sampled_from(sorted(POLICIES)),
    hold=hold_settings,
    health=health_settings,
    retries=retry_settings,
    seed=st.integers(0, 5),
)


class Lives(RuleBasedStateMachine):
    """Short lives, chosen step by step: a failure shrinks to the few steps that matter."""

    life: Life | None = None

    @initialize(life=lives)
    def start(self, life: Life) -> None:
        self.life = life

    def some(self, data: Any, ids: Any) -> int:
        return data.draw(st.sampled_from(sorted(ids)))

    @rule(model=st.sampled_from([*MODELS, "?"]), size=st.sampled_from(SIZES), slack=st.sampled_from(SLACKS))
    def submit(self, model: str, size: int, slack: float | None) -> None:
        self.life.submit(model, size, slack)

    @precondition(lambda self: self.life.out)
    @rule(data=st.data())
    def finish(self, data: Any) -> None:
        self.life.finish(self.some(data, self.life.out))

    @precondition(lambda self: self.life.out)
    @rule(data=st.data(), fault=st.sampled_from(FAULTS), repeatable=st.sampled_from([True, True, False]))
    def fail(self, data: Any, fault: Any, repeatable: bool) -> None:
        self.life.fail(self.some(data, self.life.out), fault, repeatable)

    @precondition(lambda self: self.life.out or self.life.held)
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        self.life.leave(self.some(data, {*self.life.out, *self.life.held}))

    @rule(data=st.data(), ok=st.booleans(), models=st.sampled_from(LISTS), times=st.integers(1, 5))
    def probe(self, data: Any, ok: bool, models: frozenset[str] | None, times: int) -> None:
        self.life.probe(data.draw(st.sampled_from(self.life.names)), ok, models, times)

    @rule(data=st.data())
    def lose(self, data: Any) -> None:
        self.life.probe(data.draw(st.sampled_from(self.life.names)), False, None, reached=False)

    @rule(seconds=st.sampled_from(PAUSES), late=st.booleans())
    def time_passes(self, seconds: float, late: bool) -> None:
        if late:
            self.life.sleep(seconds)
        else:
            self.life.tick(seconds)

    @rule(shapes=backend_lists, names=st.permutations(NAMES), pools=st.integers(0, 31), settings=core_settings)
    def reconfigure(self, shapes: list[dict[str, Any]], names: Any, pools: int, settings: CoreSettings) -> None:
        self.life.reconfigure(named(shapes, names, pools), settings)

    @rule()
    def timer_fires(self) -> None:
        self.life.timer()

    @invariant()
    def everything_holds(self) -> None:
        if self.life is not None:
            self.life.check()

    def teardown(self) -> None:
        if self.life is not None:
            self.life.end()


@settings(max_examples=80, deadline=None)
@given(life=lives, seed=st.integers(0, 2**32), drains=st.booleans())
def test_long_lives(life: Life, seed: int, drains: bool) -> None:
    rng = random.Random(seed)
    for _ in range(4):
        mood = MOODS[rng.choice(sorted(MOODS))]
        for _ in range(75):
            a_step(life, rng, mood)
            life.check()
    if drains:
        life.drain()
        life.submit("x", 1, None)
        life.check()
    life.end()


def a_step(life: Life, rng: random.Random, mood: dict[str, int]) -> None:
    """One step of a storm."""
    what = rng.choices(list(mood), list(mood.values()))[0]
    out = sorted(life.out)
    everybody = sorted({*life.out, *life.held})
    if what == "submit":
        model = rng.choice(MODELS) if rng.random() < 0.9 else "?"
        life.submit(model, rng.choice(SIZES[:3]), rng.choice(SLACKS) if rng.random() < 0.2 else None)
    elif what == "finish" and out:
        life.finish(rng.choice(out))
    elif what == "fail" and out:
        life.fail(rng.choice(out), rng.choice(FAULTS), rng.random() < 0.7)
    elif what == "leave" and everybody:
        life.leave(rng.choice(everybody))
    elif what == "late" and life.ended:
        job_id = rng.choice(sorted(life.ended))
        over = life.ids.get(job_id, 0)
        life.late_report(job_id, rng.choice([None, Finished(over), Failed(over, FAULTS[0], repeatable=True)]))
    elif what == "first" and out:
        life.first_byte(rng.choice(out))
    elif what == "probe":
        life.probe(rng.choice(life.names), rng.random() < 0.8, rng.choice(LISTS[:4]))
    elif what == "bad probes":
        life.probe(rng.choice(life.names), False, None, times=rng.randint(1, 5))
    elif what == "lost probe":
        life.probe(rng.choice(life.names), False, None, reached=False)
    elif what == "tick":
        life.tick(rng.choice(PAUSES[:5]))
    elif what == "sleep":
        life.sleep(rng.choice(PAUSES[:5]))
    elif what == "timer":
        life.timer()
    elif what == "reconfigure":
        life.reconfigure(*another(rng))


def another(rng: random.Random) -> tuple[list[BackendSpec], CoreSettings]:
    shapes = [
        {
            "models": rng.choice([frozenset("x"), frozenset("xy"), frozenset("xyz"), None]),
            "any_model": rng.random() < 0.1,
            "max_concurrency": rng.choice([1, 2, 3, None]),
            "aliases": rng.choice([{}, {"z": "x"}]),
        }
        for _ in range(rng.randint(1, 5))
    ]
    settings = CoreSettings(
        hold=HoldSettings(
            min_jobs=rng.choice([6, 2, 0]), per_in_flight=rng.choice([2, 0]), max_wait=rng.choice([30.0, 1.0])
        ),
        health=HealthSettings(consecutive_failures=rng.choice([1, 5]), window=rng.choice([10.0, 1.0])),
        retries=RetrySettings(attempts=rng.randint(1, 4)),
        scheduling=SchedulingSettings(policy=rng.choice(sorted(POLICIES))),
    )
    return named(shapes, rng.sample(NAMES, len(NAMES)), rng.randrange(32)), settings


Lives.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLives = Lives.TestCase
