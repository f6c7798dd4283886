"""The model list from memory: descriptions as engines write them, found by any spelling, forgotten with the model."""

import json
import random
from typing import Any

from proxy.core.scheduler import Scheduler
from proxy.live.catalogue import ModelList
from proxy.model.abilities import Traits
from proxy.model.backend import BackendSpec
from proxy.model.commands import Probed
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from tests.support.route_engine import model


class Bed:
    """Backends a and b, and what they list."""

    def __init__(self) -> None:
        specs = [BackendSpec("a"), BackendSpec("b")]
        self.scheduler = Scheduler(
            specs, retries=RetrySettings(), hold=HoldSettings(), health=HealthSettings(), rng=random.Random(1)
        )
        self.models = ModelList(self.scheduler, 7)

    def lists(self, backend: str, *entries: dict[str, Any], traits: Traits | None = None) -> None:
        names = frozenset(entry["id"] for entry in entries)
        self.scheduler.observe(Probed(backend, True, names, traits=traits), 1.0)
        self.models.learn(list(entries))

    def rendered(self, permitted: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
        fields = json.loads(self.models.render(permitted))
        assert fields["object"] == "list"
        return list(fields["data"])

    def found(self, name: str, permitted: tuple[str, ...] | None = None) -> Any:
        body = self.models.find(name, permitted)
        return None if body is None else json.loads(body)


def test_as_the_first_engine_described_it() -> None:
    bed = Bed()
    bed.lists("a", model("m", max_model_len=5))
    bed.lists("b", model("m", "other"), model("n"))
    assert bed.rendered() == [model("m", max_model_len=5), model("n")]
    assert bed.found("m") == model("m", max_model_len=5)
    assert bed.found("x") is None


def test_forgotten_with_the_model() -> None:
    bed = Bed()
    bed.lists("a", model("m"))
    bed.lists("a", model("n"))
    assert bed.rendered() == [model("n")]
    assert list(bed.models._entries) == ["n"]
    bed.lists("a", model("m", "another"))
    assert bed.rendered() == [model("m", "another")], "as it is described now"


def test_many_lists_of_other_names_leave_nothing() -> None:
    bed = Bed()
    for number in range(6):
        bed.lists("a", *(model(f"{number}-{n}") for n in range(500)))
        assert len(bed.models._entries) == 500


def test_a_name_that_nobody_described_and_a_description_that_is_too_long() -> None:
    bed = Bed()
    bed.lists("a", model("m", note="x" * 20_000))
    assert bed.rendered() == [{"id": "m", "object": "model", "created": 7, "owned_by": "tidegate"}]


def test_by_any_spelling() -> None:
    bed = Bed()
    bed.lists("a", model("llama3.2:latest", "library"), traits=Traits(loose_names=True))
    assert [entry["id"] for entry in bed.rendered()] == ["llama3.2:latest"]
    assert bed.found("llama3.2") == model("llama3.2", "library"), "as the engine itself would"
    assert bed.found("llama3.2:latest") == model("llama3.2:latest", "library")
    assert bed.found("llama3.2:1b") is None


def test_who_may_see_it_by_any_spelling() -> None:
    bed = Bed()
    bed.lists("a", model("llama3.2:latest", "library"), model("x:latest", "library"), traits=Traits(loose_names=True))
    for permitted in (("llama3.2",), ("llama3.2:latest",), ("llama3*",)):
        assert [entry["id"] for entry in bed.rendered(permitted)] == ["llama3.2:latest"]
        assert bed.found("llama3.2", permitted)
        assert bed.found("llama3.2:latest", permitted)
        assert not bed.found("x", permitted)
