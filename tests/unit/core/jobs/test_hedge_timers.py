"""When an attempt that has not begun to answer is looked at."""

from proxy.core.jobs.hedge_timers import late_after_s
from proxy.core.learn.first_byte import FirstByteTimes
from proxy.model.hedge import Hedge
from proxy.model.limits import RetrySettings
from tests.unit.core.playing import Play, spec

FIXED = Hedge(0.0, 0.3, 0.5)


def waits(hedge: Hedge | None, tries: int = 3, **job: object) -> float | None:
    play = Play(spec("a"), spec("b"), retries=RetrySettings(attempts=tries))
    play.submit(1, hedge=hedge, stream=True, **job)
    at = play.scheduler.wakeup_at()
    return None if at is None else round(at - play.now, 6)


def test_it_is_looked_at_when_its_rule_says() -> None:
    assert waits(FIXED) == 0.3
    assert waits(Hedge(0.0, 1e-6, 0.5)) == 0.02, "never sooner"


def test_it_is_not_where_nothing_could_follow() -> None:
    assert waits(None) is None
    assert waits(FIXED, tries=1) is None
    assert waits(FIXED, bulk=True) is None
    assert waits(Hedge(0.95, 0.0, 0.5)) is None, "nothing is learned yet"


def test_a_learned_limit_is_the_quantile_of_what_was_seen() -> None:
    times = FirstByteTimes()
    rule = Hedge(0.9, 0.0, 0.5)
    assert late_after_s(rule, times, 1000.0, True, 0.5) is None
    for _ in range(200):
        times.learn(1000.0, True, 0.5, 0.5)
    limit_s = late_after_s(rule, times, 1000.0, True, 0.5)
    assert limit_s is not None
    assert 0.1 < limit_s <= 0.75
    assert late_after_s(rule, times, 1000.0, True, 1.0) == 2 * limit_s


def test_late_and_nothing_could_be_done_is_looked_at_again_after_as_long() -> None:
    play = Play(spec("a"))
    play.submit(1, hedge=FIXED, stream=True)
    play.later(0.3)
    at = play.scheduler.wakeup_at()
    assert at is not None
    assert round(at - play.now, 6) == 0.3
