"""Traps of Ollama, by what its source says it shows."""

import json

import pytest

from proxy.engines.ollama import OLLAMA
from tests.unit.engines.traps.seeing import seen, showing

GOOD = {
    "name": "m:latest",
    "size": 100,
    "size_vram": 100,
    "context_length": 8192,
    "expires_at": "2318-05-04T14:38:31.837534321-07:00",
}


def of(**entry: object) -> dict[str, str]:
    told = json.dumps({"models": [{**GOOD, **entry}]}).encode()
    return seen(OLLAMA, showing({"/api/ps": told}, models={"data": [{"id": "m:latest"}]}))


def test_an_engine_as_it_should_be() -> None:
    assert of() == {}


def test_a_context_in_which_prompts_are_cut() -> None:
    assert "4096" in of(context_length=4096)["short-context"]


@pytest.mark.parametrize(("on_gpu", "is_told"), [(60, True), (100, False), (0, False)])
def test_a_model_that_does_not_fit(on_gpu: int, is_told: bool) -> None:
    found = of(size_vram=on_gpu)
    assert ("not-on-gpu" in found) is is_told
    assert not is_told or found["not-on-gpu"].startswith("40% of m:latest")


@pytest.mark.parametrize(
    ("until", "is_told"),
    [
        ("2027-01-15T08:05:00.123456789Z", True),
        ("2027-01-15T08:10:00Z", True),
        ("2027-01-15T08:10:02Z", False),
        ("2027-01-15T07:00:00Z", False),
        ("soon", False),
        (None, False),
    ],
)
def test_a_model_that_leaves_soon(until: str | None, is_told: bool) -> None:
    assert ("leaves-soon" in of(expires_at=until)) is is_told


def test_models_that_are_elsewhere() -> None:
    sight = showing({"/api/ps": b'{"models":[]}'}, models={"data": [{"id": "m"}, {"id": "gpt-oss:120b-cloud"}]})
    assert list(seen(OLLAMA, sight)) == ["cloud-models"]
