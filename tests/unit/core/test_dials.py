"""The numbers that are read once: as configured, and as configured anew."""

from dataclasses import replace

from proxy.core.dials import Dials
from proxy.model.limits import HealthSettings, RetrySettings
from proxy.model.scheduling import AdmissionSettings, BackfillSettings, CoreSettings, SchedulingSettings
from tests.support.attributes import attributes_of

OTHER = CoreSettings(
    retries=RetrySettings(attempts=7),
    health=HealthSettings(probe_interval=9.0),
    scheduling=SchedulingSettings(
        admission=AdmissionSettings(
            duty=0.11,
            duty_interactive=0.12,
            duty_bulk=0.13,
            ttft_margin=1.4,
            tpot_margin=1.5,
            kv=0.16,
            max_hold=17.0,
            min_samples=18,
            early_error=0.19,
        ),
        backfill=BackfillSettings(backlog=1.9, max_wait=20.0, chat_price=2.1, lines_delay=0.7),
    ),
)


def numbers(dials: Dials) -> dict[str, float]:
    return {name: getattr(dials, name) for name in attributes_of(Dials)}


def test_every_one_is_what_the_configuration_says() -> None:
    read = numbers(Dials(OTHER))
    assert sorted(read.values()) == sorted(
        [7, 9.0, 0.11, 0.12, 0.13, 1.4, 1.5, 0.16, 17.0, 18, 0.19, 1.9, 20.0, 2.1, 0.7]
    )
    assert not set(read.values()) & set(numbers(Dials(CoreSettings())).values())


def test_whoever_has_the_dials_sees_another_configuration() -> None:
    dials = Dials(CoreSettings())
    dials.turn(OTHER)
    assert numbers(dials) == numbers(Dials(OTHER))
    dials.turn(replace(OTHER, retries=RetrySettings(attempts=2)))
    assert dials.tries == 2
