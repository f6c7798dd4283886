"""Silent streams of engines that are gone: nothing listens there, or they were put to sleep."""

from proxy.model.commands import FirstToken, Load, Probed
from tests.support.attempts import attempt_of
from tests.unit.core.playing import M, Play, spec


class Bed(Play):
    """A stream that flows on the only engine."""

    def __init__(self) -> None:
        super().__init__(spec("a"), policy="round_robin")
        self.submit(1, stream=True)
        self.scheduler.observe(FirstToken(attempt_of(self.scheduler, 1)), self.now)

    def refused(self) -> None:
        self.scheduler.observe(Probed("a", ok=False, reached=False), self.now)

    def gives_up(self, silent_s: float, token_s: float = 0.02) -> bool:
        return self.scheduler.gives_up(attempt_of(self.scheduler, 1), silent_s, self.now, None, token_s)


def test_a_silent_stream_whose_engine_refuses_connections_ends_after_two_seconds() -> None:
    bed = Bed()
    assert not bed.gives_up(59.0), "as long as anybody may be there"
    bed.refused()
    assert not bed.gives_up(1.9)
    assert bed.gives_up(2.1)


def test_one_that_drains_slowly_is_given_its_own_pace() -> None:
    bed = Bed()
    bed.refused()
    assert not bed.gives_up(9.0, token_s=0.5)
    assert bed.gives_up(10.1, token_s=0.5)


def test_a_probe_that_is_only_late_says_nothing() -> None:
    bed = Bed()
    bed.scheduler.observe(Probed("a", ok=False), bed.now)
    assert not bed.gives_up(30.0)
    bed.refused()
    bed.scheduler.observe(Probed("a", True, M), bed.now)
    assert not bed.gives_up(30.0)


def test_a_stream_of_an_engine_that_was_put_to_sleep_ends() -> None:
    bed = Bed()
    bed.scheduler.observe(Load("a", asleep=True), bed.now)
    assert bed.gives_up(2.1)
    bed.scheduler.observe(Load("a", asleep=False), bed.now)
    assert not bed.gives_up(2.1)


def test_a_job_that_is_over_is_nobodys() -> None:
    bed = Bed()
    bed.refused()
    bed.finish(1)
    assert not bed.gives_up(60.0)
