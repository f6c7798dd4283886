"""Each model is asked for once, and again when its weights are others; a few with each probe."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.engines.base import ModelCard
from proxy.engines.registry import DIALECTS
from proxy.live.background.model_cards import ModelCards
from proxy.live.background.questions import Questions
from proxy.live.upstream.backends import Upstream
from proxy.model.abilities import Lack
from proxy.model.faults import FaultError, Kind, upstream

SHOWN = {
    "parameters": 'stop "x"\nnum_ctx                        8192\n',
    "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
    "capabilities": ["completion", "tools"],
}
CARD = ModelCard(8192, frozenset({Lack.IMAGES}))


class Bed:
    """A backend that lists models, and what it is asked."""

    def __init__(self, *names: str, kind: str = "ollama") -> None:
        self.asked: list[str] = []
        self.answer: Any = (200, json.dumps(SHOWN).encode())
        self.backend = SimpleNamespace(dialect=DIALECTS[kind], listed=b"", cards={})
        self.cards = ModelCards(cast(Upstream, self.backend), cast(Questions, self))
        self.lists(dict.fromkeys(names, "1"))

    def lists(self, weights: dict[str, str]) -> None:
        models = [{"name": name, "digest": digest} for name, digest in weights.items()]
        self.backend.listed = json.dumps({"models": models}).encode()
        self.names = frozenset(weights)

    async def look(self) -> None:
        await self.cards.look(self.names, 1.0)

    async def post(self, path: str, body: bytes, most_b: int, within_s: float) -> Any:
        assert path == "/api/show"
        self.asked.append(json.loads(body)["model"])
        if isinstance(self.answer, Exception):
            raise self.answer
        status, said = self.answer
        return SimpleNamespace(status=status, body=said, complete=said is not None)


async def test_a_model_is_asked_for_once_and_again_when_its_weights_are_others() -> None:
    bed = Bed("a:1b")
    for _ in range(3):
        await bed.look()
    assert (bed.asked, bed.backend.cards) == (["a:1b"], {"a:1b": CARD})
    bed.lists({"a:1b": "2"})
    await bed.look()
    assert bed.asked == ["a:1b"] * 2
    bed.lists({})
    await bed.look()
    assert bed.backend.cards == {}


async def test_a_few_with_each_probe() -> None:
    bed = Bed(*(f"m{n}:1b" for n in range(9)))
    for count in (4, 8, 9, 9):
        await bed.look()
        assert len(bed.asked) == count


async def test_no_more_than_a_bound() -> None:
    bed = Bed(*(f"m{n}:1b" for n in range(400)))
    for _ in range(200):
        await bed.look()
    assert len(bed.asked) == len(bed.backend.cards) == 256


async def test_models_of_a_cloud_are_not_asked_for() -> None:
    bed = Bed("gpt-oss:120b-cloud", "kimi:cloud")
    await bed.look()
    assert bed.asked == []


@pytest.mark.parametrize(
    "answer", [TimeoutError(), FaultError(upstream(Kind.RESET, "reset")), (500, b"ill"), (200, None)]
)
async def test_what_does_not_come_is_asked_for_next_time(answer: Any) -> None:
    bed = Bed("a:1b", "b:1b")
    bed.answer = answer
    await bed.look()
    assert (bed.asked, bed.backend.cards) == (["a:1b"], {})
    bed.answer = (200, json.dumps(SHOWN).encode())
    await bed.look()
    assert bed.backend.cards == {"a:1b": CARD, "b:1b": CARD}


async def test_a_model_of_which_it_says_nothing_is_left_alone() -> None:
    bed = Bed("a:1b")
    bed.answer = (404, b"not found")
    for _ in range(2):
        await bed.look()
    assert (bed.asked, bed.backend.cards) == (["a:1b"], {"a:1b": ModelCard()})


async def test_other_kinds_are_not_asked_and_another_engine_is_another() -> None:
    other = Bed("a", kind="vllm")
    await other.look()
    assert other.asked == []
    bed = Bed("a:1b")
    await bed.look()
    bed.cards.forget()
    assert bed.backend.cards == {}
    await bed.look()
    assert len(bed.asked) == 2
