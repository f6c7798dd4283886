"""What happens to an engine, in words: what is understood, and what is refused with a sentence."""

from math import inf

import pytest

from proxy.sim.engine.course import CoursePhase, What, read_course


def test_phases_and_noise() -> None:
    course = read_course(["outage at 60s for 20s", "slow x5 from 30s  to 1m", "refuse from 5s to 6s", "noise 10%"], 2.0)
    assert course.phases == (
        CoursePhase(What.OUTAGE, 60.0, 80.0),
        CoursePhase(What.SLOW, 30.0, 60.0, 5.0),
        CoursePhase(What.REFUSE, 5.0, 6.0),
    )
    assert (course.noise, course.retry_after_s) == (0.1, 2.0)
    assert [course.factor(at) for at in (29.9, 30.0, 59.9, 60.0)] == [1.0, 5.0, 5.0, 1.0]
    assert [course.refuses(at) for at in (4.9, 5.0, 6.0)] == [False, True, False]


@pytest.mark.parametrize("phrase", ["outage at 60s", "slow x0.5 from 0s", "refuse from 90s"])
def test_for_good(phrase: str) -> None:
    [phase] = read_course([phrase]).phases
    assert phase.end == inf
    assert read_course([str(phase)]).phases == (phase,)


@pytest.mark.parametrize(
    ("phrases", "why"),
    [
        (["outage"], "is not understood; write for example outage at 60s for 20s"),
        (["outage at 60 for 20s"], "has no unit"),
        (["outage at -5s for 20s"], "neither negative"),
        (["outage at nan for 20s"], "a duration with a unit"),
        (["outage at 60s for 0s"], "ends before it has begun"),
        (["slow x5 from 90s to 30s"], "ends before it has begun"),
        (["slow xnan from 1s"], "between"),
        (["slow x-2 from 1s"], "between"),
        (["slow xy from 1s"], "not a number"),
        (["noise 500%"], "noise must be between 0 and 100 %"),
        (["noise -1%"], "between 0 and 100 %"),
        (["noise nan%"], "between 0 and 100 %"),
        (["noise 10"], "is not understood"),
        (["noise 5%", "noise 6%"], "there is noise already"),
        (["outage at 60s for 20s", "outage at 70s"], "'outage at 1m for 20s' and 'outage at 70s' overlap"),
        (["slow x2 from 0s", "slow x3 from 5s to 9s"], "overlap"),
        (["outage at 1s for 1s"] * 2000, "at most 1024"),
    ],
)
def test_what_is_no_course_is_refused(phrases: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_course(phrases)


def test_kinds_may_overlap_and_meet() -> None:
    read_course(["outage at 10s for 5s", "outage at 15s for 5s", "slow x2 from 12s to 13s"])


def test_what_never_shows_is_found() -> None:
    assert read_course(["outage at 60s for 20s"]).beyond(80.0) is None
    assert str(read_course(["outage at 60s for 20s"]).beyond(79.0)) == "outage at 1m for 20s"
    assert read_course(["outage at 60s"]).beyond(61.0) is None
    assert str(read_course(["slow x2 from 60s to 2h"]).beyond(60.0)) == "slow x2 from 1m to 2h"
