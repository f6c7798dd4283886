"""Equations of an engine: at its true constants they hold."""

import numpy as np
import pytest

from proxy.bench.forecast.calls import Call
from proxy.bench.forecast.company import UNKNOWNS, equations, most_at_once
from tests.unit.bench.forecast.queue_of_one import TRUE, recorded


def test_one_alone() -> None:
    rows, sums = equations([Call("a", 0.0, 0.1, 1.1, 1000, 0, 101)], 2048)
    assert sums.tolist() == [1.0, 1.0]
    prefill, decode = rows
    assert prefill.tolist() == pytest.approx([10_000, 1e7, 0.0, 0.0, 0.0, 10.0])
    assert decode.tolist() == pytest.approx([0.0, 0.0, 100.0, 100.0, 100 * 1050.5, 0.0])


def test_a_prompt_beside_an_answer_is_in_its_time() -> None:
    calls = [Call("a", 0.0, 0.1, 1.1, 1000, 0, 101), Call("a", 0.5, 0.6, 0.9, 300, 100, 11)]
    rows, _ = equations(calls, 2048)
    beside = dict(zip(UNKNOWNS, rows[1].tolist(), strict=True))
    assert beside["prefill_s_per_token"] == pytest.approx(200)
    assert beside["prefill_s_per_token2"] == pytest.approx(300**2 - 100**2)
    assert beside["step_s_per_sequence"] == pytest.approx(130)


def test_at_the_true_constants_the_equations_hold() -> None:
    rows, sums = equations(recorded(), 2048)
    off = rows @ np.array([getattr(TRUE, name) for name in UNKNOWNS]) - sums
    assert abs(float(np.median(off))) < 0.05


def test_company_has_no_equation() -> None:
    rows, _ = equations([Call("a", 0.0, 0.0, 1.0, 100, 0, 10, is_judged=False)], 2048)
    assert rows.shape == (0, len(UNKNOWNS))


def test_the_most_at_once() -> None:
    assert most_at_once([Call("a", 0, 1, 3, 9, 0, 9), Call("a", 0, 2, 4, 9, 0, 9), Call("a", 0, 3, 5, 9, 0, 9)]) == 2


def test_first_tokens_that_waited_for_another_prompt_give_no_equation() -> None:
    behind = [Call("a", 0.0, 0.5, 0.5, 9000, 0, 1), Call("a", 0.1, 0.6, 0.6, 900, 0, 1)]
    rows, _ = equations(behind, 2048)
    assert rows.shape[0] == 1
