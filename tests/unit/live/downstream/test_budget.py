"""The budget of bodies at its edge: taken, spent, given back."""

import pytest

from proxy.live.downstream.budget import Budget
from proxy.model.faults import FaultError, Kind
from proxy.wire import errors


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_edge(over: int) -> None:
    budget = Budget(1000)
    budget.take(400)
    if over > 0:
        with pytest.raises(FaultError) as raised:
            budget.take(600 + over)
        assert raised.value.fault.kind is Kind.MEMORY
        answer = errors.answer(raised.value.fault)
        assert (answer.status, dict(answer.headers)[b"retry-after"]) == (503, b"1")
        assert (budget.free_b, budget.refused) == (600, 1)
    else:
        budget.take(600 + over)
        assert (budget.free_b, budget.refused) == (-over, 0)


def test_what_is_given_back_can_be_taken_again() -> None:
    budget = Budget(1000)
    for _ in range(3):
        budget.take(1000)
        budget.give(1000)
    assert budget.free_b == 1000


def test_what_never_fits_is_too_large_and_not_to_be_repeated() -> None:
    with pytest.raises(FaultError) as raised:
        Budget(1000).take(1001)
    assert raised.value.fault.kind is Kind.BODY_TOO_LARGE
    assert raised.value.fault.retry_after_s is None
