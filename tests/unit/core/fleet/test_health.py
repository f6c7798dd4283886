"""The rules of one backend's health, at one below, at and one above each bound."""

import pytest

from proxy.config.plain import read
from proxy.core.fleet.health import Health, HealthState
from proxy.model.limits import HealthSettings

T = 1000.0


def settings(**more: object) -> HealthSettings:
    values = {f"{k}": (f"{v}s" if k in {"eject", "eject_max", "slow_start", "window"} else v) for k, v in more.items()}
    return read(HealthSettings, values)


def test_healthy_at_first_with_its_full_share() -> None:
    health = Health(settings())
    assert health.state is HealthState.HEALTHY
    assert health.takes_traffic
    assert health.share_at(T) == 1.0
    assert not health.is_failing(T)


@pytest.mark.parametrize(("failures", "failing"), [(4, False), (5, True), (6, True)])
def test_failures_in_a_row(failures: int, failing: bool) -> None:
    health = Health(settings(consecutive_failures=5))
    for _ in range(failures):
        health.failed(T)
    assert health.failures_in_a_row == failures
    assert health.is_failing(T) is failing


def test_a_success_ends_the_row() -> None:
    health = Health(settings(consecutive_failures=5))
    for _ in range(4):
        health.failed(T)
    health.served(T)
    health.failed(T)
    assert health.failures_in_a_row == 1
    assert not health.is_failing(T)


@pytest.mark.parametrize(("failed", "served", "failing"), [(9, 10, False), (10, 10, True), (11, 10, True)])
def test_ratio_needs_enough_samples(failed: int, served: int, failing: bool) -> None:
    health = Health(settings(consecutive_failures=1000, min_samples=20))
    for _ in range(failed):
        health.failed(T)
    for _ in range(served):
        health.served(T)
    assert health.is_failing(T) is failing


@pytest.mark.parametrize(("failed", "failing"), [(19, False), (20, True), (21, True)])
def test_ratio_at_its_bound(failed: int, failing: bool) -> None:
    health = Health(settings(consecutive_failures=1000, failure_ratio=0.5))
    for _ in range(failed):
        health.failed(T)
    for _ in range(40 - failed):
        health.served(T)
    assert health.is_failing(T) is failing


def test_a_ratio_that_binary_cannot_write() -> None:
    health = Health(settings(consecutive_failures=1000, failure_ratio=0.1))
    for _ in range(27):
        health.served(T)
    for _ in range(3):
        health.failed(T)
    assert health.is_failing(T)


def test_attempts_older_than_the_window_do_not_count() -> None:
    health = Health(settings(consecutive_failures=1000, window=10))
    for _ in range(30):
        health.failed(T)
    assert health.is_failing(T + 9)
    assert not health.is_failing(T + 10)


def test_failed_probes_add_to_failed_attempts() -> None:
    health = Health(settings(consecutive_failures=5))
    for _ in range(3):
        health.failed(T)
    health.probe_failed(T)
    assert not health.is_failing(T)
    health.probe_failed(T)
    assert health.is_failing(T)


def test_a_good_probe_excuses_failed_probes_and_not_failed_requests() -> None:
    health = Health(settings())
    for _ in range(4):
        health.failed(T)
        health.probe_failed(T)
    health.probe_served()
    assert health.failures_in_a_row == 4


def test_ejections_in_a_row_get_longer_up_to_a_bound() -> None:
    health = Health(settings(eject=5, eject_max=12))
    assert health.eject(T) == T + 5
    health.start_probation()
    assert health.eject(T + 5) == T + 15
    health.start_probation()
    assert health.eject(T + 15) == T + 27
    health.start_probation()
    assert health.eject(T + 27) == T + 39


def test_ejected_takes_no_traffic_and_forgets_its_failures() -> None:
    health = Health(settings())
    for _ in range(5):
        health.failed(T)
    health.eject(T)
    assert health.state is HealthState.EJECTED
    assert not health.takes_traffic
    assert health.failures_in_a_row == 0
    assert not health.is_failing(T)


@pytest.mark.parametrize(("trials", "takes"), [(0, True), (1, False), (2, False)])
def test_one_trial_at_a_time(trials: int, takes: bool) -> None:
    health = Health(settings())
    health.eject(T)
    health.start_probation()
    assert health.ejected_until is None
    health.trials = trials
    assert health.takes_traffic is takes


def test_each_ejection_and_each_probation_is_an_era() -> None:
    health = Health(settings())
    eras = [health.era]
    health.eject(T)
    eras.append(health.era)
    health.start_probation()
    eras.append(health.era)
    health.readmit(T)
    assert eras == [0, 1, 2]
    assert health.era == 2


def returned(**more: object) -> Health:
    health = Health(settings(**more))
    health.eject(T - 5)
    health.start_probation()
    health.readmit(T)
    return health


@pytest.mark.parametrize(("after", "share"), [(0, 0.1), (2.5, 0.325), (5, 0.55), (9, 0.91), (10, 1.0), (11, 1.0)])
def test_slow_start_grows_from_a_tenth(after: float, share: float) -> None:
    assert returned(slow_start=10).share_at(T + after) == pytest.approx(share)


def test_no_slow_start() -> None:
    assert returned(slow_start=0).share_at(T) == 1.0


@pytest.mark.parametrize(("after", "lasts"), [(0, 10), (9.9, 10), (10, 5), (11, 5)])
def test_failing_again_while_it_starts_slowly_goes_on_with_the_row(after: float, lasts: float) -> None:
    health = returned(slow_start=10, eject=5)
    again = T + after
    assert health.eject(again) == again + lasts


@pytest.mark.parametrize(("after", "lasts"), [(4.9, 10), (5, 5)])
def test_without_slow_start_the_row_goes_on_for_as_long_as_it_was_out(after: float, lasts: float) -> None:
    health = returned(slow_start=0, eject=5)
    assert health.eject(T + after) == T + after + lasts
