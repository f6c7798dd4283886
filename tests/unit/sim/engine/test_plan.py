"""Closed forms against adding up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sim.engine.plan import Plan


@given(
    steps=st.integers(1, 300),
    first=st.floats(1e-5, 0.1),
    growth=st.floats(0, 1e-3),
    share=st.floats(0, 1, exclude_max=True),
)
def test_steps_done_is_the_count_of_ends_passed(steps: int, first: float, growth: float, share: float) -> None:
    plan = Plan(100.0, steps, first, growth, [])
    ends = [plan.end_of(count) for count in range(1, steps + 1)]
    assert ends[-1] == plan.end
    total = 100.0
    for index in range(steps):
        total += first + index * growth
    assert plan.end == pytest.approx(total)
    now = 100.0 + share * (plan.end - 100.0)
    done = plan.steps_done_at(now)
    assert done == min(steps - 1, sum(end <= now for end in ends))
    rest = plan.only_step(done)
    assert rest.end == pytest.approx(ends[done])
