"""An engine's own list is read when its models are others, and once a minute; never of engines that have none."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.engines.registry import DIALECTS
from proxy.live.background.own_list import OwnList
from proxy.live.background.questions import Questions
from proxy.live.upstream.backends import Upstream
from proxy.model.faults import FaultError, Kind, upstream

A, B = frozenset({"a"}), frozenset({"a", "b"})


class Bed:
    """A backend on a clock that is advanced, and what it is asked."""

    def __init__(self, kind: str = "ollama") -> None:
        self.now = 100.0
        self.asked: list[str] = []
        self.answer: Any = (200, b"first")
        self.backend = SimpleNamespace(dialect=DIALECTS[kind], clock=lambda: self.now, listed=b"", in_memory=b"")
        self.list = OwnList(cast(Upstream, self.backend), cast(Questions, self))

    async def get(self, path: str, most_b: int, within_s: float) -> Any:
        self.asked.append(path)
        if isinstance(self.answer, Exception):
            raise self.answer
        status, body = self.answer
        return SimpleNamespace(status=status, body=body, complete=body is not None)


async def test_other_models_or_a_minute_are_reasons_to_ask() -> None:
    bed = Bed()
    for names, after_s, count in ((A, 0.0, 1), (A, 59.0, 1), (B, 0.0, 2), (B, 59.0, 2), (B, 2.0, 3)):
        bed.now += after_s
        await bed.list.look(names, 1.0)
        assert len(bed.asked) == count
    assert set(bed.asked) == {"/api/tags"}
    assert bed.backend.listed == b"first"


@pytest.mark.parametrize(
    "answer", [TimeoutError(), FaultError(upstream(Kind.RESET, "reset")), (500, b"ill"), (200, None)]
)
async def test_an_engine_that_does_not_tell_is_asked_next_time(answer: Any) -> None:
    bed = Bed()
    bed.answer = answer
    await bed.list.look(A, 1.0)
    assert bed.backend.listed == b""
    bed.answer = (200, b"later")
    await bed.list.look(A, 1.0)
    assert (bed.backend.listed, len(bed.asked)) == (b"later", 2)


async def test_another_engine_is_asked_anew_and_one_without_a_list_never() -> None:
    bed = Bed()
    await bed.list.look(A, 1.0)
    bed.list.forget()
    assert (bed.backend.listed, bed.backend.in_memory) == (b"", b"")
    await bed.list.look(A, 1.0)
    assert len(bed.asked) == 2
    other = Bed("vllm")
    await other.list.look(A, 1.0)
    assert not other.asked
