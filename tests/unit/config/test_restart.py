"""What waits for a restart, and that it stays as it runs."""

import pytest

from proxy.config.options import all_options
from proxy.config.restart import RESTART, as_running, needs_restart
from proxy.config.schema import Config

BACKENDS = [{"url": "http://127.0.0.1:7"}]


def config(**options: object) -> Config:
    return Config.model_validate({"version": 1, "backends": BACKENDS, **options})


def test_every_entry_is_an_option() -> None:
    options = {".".join(option.path) for option in all_options(Config)}
    assert options >= RESTART.keys()
    assert all(why and not why.endswith(".") for why in RESTART.values())


@pytest.mark.parametrize(
    ("path", "needs"),
    [
        (("listen",), True),
        (("listen", "below"), True),
        (("limits",), False),
        (("backends", "listen"), False),
        ((), False),
    ],
)
def test_groups_count_with_all_that_is_below_them(path: tuple[str, ...], needs: bool) -> None:
    assert needs_restart(path) == needs


def test_what_waits_stays_and_the_rest_is_taken() -> None:
    running = config(listen="127.0.0.1:1", state="/a")
    wanted = config(listen="127.0.0.1:2", state="/b", retries={"attempts": 5})
    made = as_running(wanted, running)
    assert (made.listen, made.state, made.retries.attempts) == ("127.0.0.1:1", "/a", 5)
    assert wanted.listen == "127.0.0.1:2", "nothing is changed in place"


def test_every_entry_stays_as_it_runs_in_whatever_group_it_is() -> None:
    running = config(log={"csv": "/a.csv"}, metrics={"models": 3})
    wanted = config(log={"csv": "/b.csv", "level": "error"}, metrics={"models": 4, "requests": False})
    made = as_running(wanted, running)
    assert (made.log.csv, made.log.level) == ("/a.csv", "error")
    assert (made.metrics.models, made.metrics.requests) == (3, False)
    for option in RESTART:
        one, other = made, running
        for key in option.split("."):
            one, other = getattr(one, key), getattr(other, key)
        assert one == other
