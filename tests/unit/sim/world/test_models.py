"""Which models traffic asks for that names none."""

from collections import Counter

import pytest

from proxy.model.backend import BackendSpec
from proxy.sim.world.cluster import all_alike
from proxy.sim.world.models import listed, named, parse_models, servable
from proxy.workload.arrival import Arrival


def test_shares_are_kept_and_what_belongs_together_stays_together() -> None:
    chats = [Arrival(float(n), 600, 1, (n % 400, n)) for n in range(4000)]
    found = named(chats, {"a": 3.0, "b": 1.0})
    assert 0.65 < Counter(one.model for one in found)["a"] / 4000 < 0.85
    assert all(len({one.model for one in found[n::400]}) == 1 for n in range(400))
    alone = named([Arrival(float(n), 600, 1) for n in range(4000)], {"a": 3.0, "b": 1.0})
    assert 0.7 < Counter(one.model for one in alone)["a"] / 4000 < 0.8


def test_what_names_its_model_keeps_it() -> None:
    assert [one.model for one in named([Arrival(0.0, 1, 1, model="x"), Arrival(0.0, 1, 1)], {"a": 1.0})] == ["x", "a"]
    assert named([Arrival(0.0, 1, 1, model="")], {})[0].model == "sim"


def test_what_backends_list() -> None:
    one = BackendSpec("1", models=frozenset({"a", "short"}), aliases={"short": "a"})
    two = BackendSpec("2", models=frozenset({"b"}))
    assert listed(all_alike([one, two])) == {"a": 1.0, "b": 1.0}
    assert listed(all_alike([one, BackendSpec("3", any_model=True)])) == {}
    assert servable("short", all_alike([one]))
    assert not servable("b", all_alike([one]))


@pytest.mark.parametrize("text", ["", "a,,b", "a=x", "a=nan", "a=0", "a,a", "=3", ",".join(map(str, range(99)))])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_models(text)
