"""Objectives as plain settings: their budget, their meaning, the thresholds that histograms want."""

from dataclasses import replace

from proxy.model.slos import ServiceLevelObjective
from proxy.obs.request_metrics import Bounds

CHAT = ServiceLevelObjective(name="chat", class_="interactive", objective=0.995, ttft=0.25, e2e=10.0)


def test_the_budget_is_what_the_objective_leaves() -> None:
    assert CHAT.budget == 0.005
    assert replace(CHAT, objective=0.999999).budget == 0.000001


def test_another_share_or_window_means_the_same_good() -> None:
    assert replace(CHAT, objective=0.9, window=3600.0, name="x").meaning == CHAT.meaning
    others = [replace(CHAT, class_="bulk"), replace(CHAT, model="m"), replace(CHAT, tenant="0123abcd")]
    others += [replace(CHAT, ttft=0.3), replace(CHAT, tpot=0.05), replace(CHAT, e2e=None)]
    assert len({CHAT.meaning, *(other.meaning for other in others)}) == 7


def test_thresholds_are_bounds_of_histograms() -> None:
    bounds = Bounds([CHAT.promise(), replace(CHAT, ttft=0.123, tpot=0.0456, e2e=None).promise()])
    assert {0.123, 0.25} <= set(bounds.ttft)
    assert 0.0456 in bounds.tpot
    assert 10.0 in bounds.e2e
