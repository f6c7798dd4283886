"""The clock of what lasts for weeks: what jumps to and fro is not followed, what keeps saying the same is."""

from proxy.app.steady_clock import LOOKS, SteadyClock


class Clocks:
    """Both, to be set."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s = 1e9, 50.0
        self.steady = SteadyClock(lambda: self.wall_s, lambda: self.monotonic_s)

    def passes(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds

    def looks(self, times: int, every: float = 60.0) -> None:
        for _ in range(times):
            self.passes(every)
            self.steady.look()


def test_it_goes_on_as_time_does() -> None:
    clocks = Clocks()
    clocks.looks(100)
    assert clocks.steady.now() == clocks.wall_s == 1e9 + 6000


def test_a_jump_to_and_fro_is_not_followed() -> None:
    clocks = Clocks()
    for jump in (86400.0, -86400.0, 3e7, -3e7) * 10:
        clocks.wall_s += jump
        clocks.looks(1)
    assert clocks.steady.now() == 1e9 + 40 * 60


def test_one_that_stays_is() -> None:
    for jump in (3600.0, -3600.0, 1e9):
        clocks = Clocks()
        clocks.looks(LOOKS)
        clocks.wall_s += jump
        assert clocks.steady.now() == 1e9 + LOOKS * 60
        clocks.looks(LOOKS - 1)
        assert clocks.steady.now() == 1e9 + (2 * LOOKS - 1) * 60
        clocks.looks(1)
        assert clocks.steady.now() == clocks.wall_s


def test_a_clock_that_is_slewed_is_followed() -> None:
    clocks = Clocks()
    for _ in range(1000):
        clocks.wall_s += 0.03
        clocks.looks(1)
    assert abs(clocks.steady.now() - clocks.wall_s) < 0.1
