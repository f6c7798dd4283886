"""Conditions of a gate: their syntax, and that noise does not fail a release nor silence pass one."""

import pytest

from proxy.bench.comparison import BY_NAME, Change
from proxy.bench.gate import condition, verdict


def change(name: str, value: float, low: float, high: float) -> Change:
    """In percent, and in ten times as many milliseconds."""
    absolute = (value * 10, low * 10, high * 10)
    return Change(BY_NAME[name], 1000.0, 1000.0 + value * 10, absolute, (value, low, high), (500, 500), paired=True)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((7.0, 2.0, 12.0), "fail"),
        ((7.0, -1.0, 15.0), "within noise"),
        ((4.0, 3.0, 4.9), "pass"),
        ((-9.0, -12.0, -6.0), "pass"),
    ],
)
def test_slower_by_more_than_five_percent(found: tuple[float, float, float], said: str) -> None:
    assert verdict(condition("p99_ttft>+5%"), change("p99_ttft", *found)) == said


def test_milliseconds_and_seconds() -> None:
    found = change("p50_e2e", 3.0, 2.0, 4.0)
    assert verdict(condition("p50_e2e > +20ms"), found) == "fail"
    assert verdict(condition("p50_e2e>0.05s"), found) == "pass"


def test_a_share_falls_by_points() -> None:
    found = Change(BY_NAME["success"], 99.5, 98.0, (-1.5, -2.0, -1.0), (-1.5, -2.0, -1.0), (900, 900), paired=False)
    assert verdict(condition("success<-1%"), found) == "fail"
    assert verdict(condition("success<-2%"), found) == "pass"
    assert verdict(condition("goodput<-1 points"), None) == "cannot tell"


def test_what_has_too_few_values_does_not_pass() -> None:
    unknown = Change(BY_NAME["p99_ttft"], None, None, None, None, (40, 40), paired=True)
    assert verdict(condition("p99_ttft>+5%"), unknown) == "cannot tell"


@pytest.mark.parametrize(
    "text", ["p99_ttft", "p99_ttft=5%", "p98_ttft>5%", "success<-1ms", "p99_ttft>5points", "p99_ttft>5", ""]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"none of|known|share|time"):
        condition(text)
