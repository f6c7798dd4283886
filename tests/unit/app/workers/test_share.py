"""What each of several workers has of a configuration."""

import pickle

from proxy.app.workers.share import of_follower, share
from proxy.config.schema import Config

WRITTEN = {
    "version": 1,
    "backends": [{"url": "http://a"}],
    "limits": {"memory": {"limit": "1GiB"}, "connections": {"max": 101}},
    "realtime": {"connections": 4},
    "state": "/tmp/state.json",
    "log": {"file": "/tmp/access.log", "csv": "/tmp/rows.csv"},
    "slos": [{"name": "x", "class": "interactive", "objective": "99%", "window": "7d"}],
}
CONFIG = Config.model_validate(WRITTEN)


def test_one_worker_has_all() -> None:
    assert share(CONFIG, 1) is CONFIG


def test_what_is_bounded_in_all_is_divided() -> None:
    part = share(CONFIG, 4)
    assert part.limits.memory.limit == 256 << 20
    assert part.limits.connections.max == 26
    assert part.realtime.connections == 1
    assert part.timings.keep == 0


def test_one_that_asks_leaves_the_rest_to_the_one_that_decides() -> None:
    other = of_follower(CONFIG)
    assert (other.state, other.slos, other.store.path) == ("off", (), None)
    assert (other.log.access, other.log.file, other.log.csv) == (False, None, None)
    assert other.routing.scrape == 0
    assert other.backends == CONFIG.backends


def test_it_is_carried_as_it_is() -> None:
    assert pickle.loads(pickle.dumps(CONFIG)) == CONFIG
