"""When a batch will be done, by its pace."""

import pytest

from proxy.core.bulk.outlook import Outlook


def test_a_steady_pace_is_foreseen_from_the_beginning_on() -> None:
    outlook = Outlook(100.0)
    assert outlook.eta_s(5, 100.5) is None, "nobody knows yet"
    for second in range(1, 301):
        outlook.ended(10, 100.0 + second)
        if second >= 10:
            assert outlook.eta_s(1000, 100.0 + second) == pytest.approx(100.0, rel=0.1)
    assert outlook.eta_s(0, 400.0) == 0.0


def test_a_pace_that_changes_is_followed_within_minutes() -> None:
    outlook = Outlook(0.0)
    for second in range(1, 201):
        outlook.ended(10, float(second))
    for second in range(201, 401):
        outlook.ended(1, float(second))
    eta_s = outlook.eta_s(100, 400.0)
    assert eta_s is not None
    assert 60 < eta_s < 120


def test_forecasts_are_judged_by_the_end() -> None:
    outlook = Outlook(0.0)
    assert outlook.error(5.0) is None
    outlook.ended(10, 10.0)
    outlook.note(10, 10.0)
    said = outlook.eta_s(10, 10.0)
    assert said is not None
    assert outlook.error(10.0 + said) == pytest.approx(0.0)
    assert outlook.error(10.0 + 2 * said) == pytest.approx(0.5)
