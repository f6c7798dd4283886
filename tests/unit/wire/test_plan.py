"""What a plan makes for one stream: nothing that its class, its engine and its client do not need."""

from typing import Any

import pytest

from proxy.model.classes import StreamSettings
from proxy.wire.accounting import Undo
from proxy.wire.counting import Evidence
from proxy.wire.plan import StreamPlan
from proxy.wire.rechunk import TokenRechunker
from proxy.wire.rechunk_text import TextRechunker
from proxy.wire.tokens import Estimator


@pytest.mark.parametrize(
    ("granularity", "rechunker"), [("engine", type(None)), ("token", TokenRechunker), ("text", TextRechunker)]
)
def test_a_rechunker_by_granularity(granularity: Any, rechunker: type) -> None:
    settings = StreamSettings(granularity=granularity)
    assert type(StreamPlan(settings, 1000, evidence=Evidence(Estimator())).rechunker()) is rechunker
    assert StreamPlan(settings, 1000).rechunker() is None, "no evidence, no borders"


def test_what_is_undone_by_what_was_asked() -> None:
    assert StreamPlan(StreamSettings(), 1000).undoing() is None
    for undo in (Undo.ALL, Undo.CONTINUOUS):
        assert StreamPlan(StreamSettings(), 1000, undo).undoing() is not None


def test_a_pacer_only_where_it_is_smooth() -> None:
    assert StreamPlan(StreamSettings(), 1000).pacer() is None
    assert StreamPlan(StreamSettings(pace="smooth"), 1000).pacer() is not None
