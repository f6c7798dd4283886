"""Backends with an order, in random lives: nobody is sent a request while one before it, healthy and with room, could
have taken it; and what is sent nowhere waits only while nobody at all has room."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.fleet.health import HealthState
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Dispatch, Refuse
from proxy.model.faults import Kind
from proxy.model.limits import HealthSettings, HoldSettings
from tests.property.scheduler_life import has_room
from tests.unit.core.playing import M, Play, fault

backends = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([1, 2, None]), st.sampled_from(["p", "q"])), min_size=2, max_size=5
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["submit"] * 4 + ["finish", "finish", "fail", "busy", "gone", "probe", "tick", "tick"]),
        st.integers(0, 50),
    ),
    min_size=5,
    max_size=60,
)


class Life:
    """What was sent where, checked command by command."""

    def __init__(self, specs: list[BackendSpec], policy: str) -> None:
        self.play = Play(
            *specs,
            policy=policy,
            hold=HoldSettings(max_wait=5.0),
            health=HealthSettings(consecutive_failures=2, slow_start=0.0),
        )
        self.order = {spec.name: spec.order for spec in specs}
        self.out: dict[int, str] = {}
        self.tried: dict[int, set[str]] = {}
        self.waiting: set[int] = set()
        self.is_idle_needed = policy == "goodput"
        """Which looks at more than permits: only that an idle one takes everything is sure."""
        self.later = 0

    def do(self, what: str, number: int) -> None:
        at = sorted(self.out)[number % len(self.out)] if self.out else None
        load = Counter(self.out.values())
        before = {v.name: v.state for v in self.play.scheduler.backends(self.play.now)}
        if what == "submit":
            job_id = len(self.tried)
            self.tried[job_id] = set()
            self.waiting.add(job_id)
            commands = self.play.submit(job_id, stream=True)
        elif what == "probe":
            commands = self.play.probe(sorted(self.order)[number % len(self.order)])
        elif what == "tick":
            commands = self.play.later(0.1 * number)
        elif at is None:
            return
        else:
            name = self.out.pop(at)
            load[name] -= 1
            if what == "finish":
                commands = self.play.finish(at)
            else:
                kind = {"fail": Kind.ERROR_STATUS, "busy": Kind.BUSY, "gone": Kind.CONNECT}[what]
                self.tried[at].add(name)
                self.waiting.add(at)
                commands = self.play.fail(at, fault(kind))
        self.check(commands, load, before)

    def check(self, commands: list[Command], load: Counter[str], before: dict[str, HealthState]) -> None:
        after = {v.name: v for v in self.play.scheduler.backends(self.play.now)}
        sure = [n for n, v in after.items() if has_room(v) or v.in_flight]
        sure = [n for n in sure if before[n] is after[n].state is HealthState.HEALTHY and after[n].paused_until is None]
        for command in commands:
            if isinstance(command, Refuse):
                self.waiting.discard(command.job_id)
            if not isinstance(command, Dispatch):
                continue
            (job_id,) = command.jobs
            for name in sure:
                view = after[name]
                most = min([one for one in (view.permits, view.places) if one is not None], default=10_000)
                has_place = not load[name] if self.is_idle_needed else load[name] < most
                if self.order[name] < self.order[command.backend] and name not in self.tried[job_id]:
                    self.later += 1
                    assert not has_place, f"{command.backend} got {job_id} beside {name}: {load}"
            load[command.backend] += 1
            self.out[job_id] = command.backend
            self.waiting.discard(job_id)
        if self.waiting and not self.is_idle_needed:
            assert not [n for n in sure if has_room(after[n]) and not any(n in self.tried[j] for j in self.waiting)]


@given(some=backends, doings=steps, policy=st.sampled_from(["least_outstanding", "round_robin", "goodput"]))
def test_nobody_is_sent_what_one_before_it_could_take(
    some: list[tuple[int, int | None, str]], doings: list[tuple[str, int]], policy: str
) -> None:
    specs = [
        BackendSpec(f"b{i}", models=M, max_concurrency=permits, pool=pool, order=order)
        for i, (order, permits, pool) in enumerate(some)
    ]
    life = Life(specs, policy)
    for what, number in doings:
        life.do(what, number)
