"""What is true of every `transformers serve`."""

from proxy.engines.transformers import TRANSFORMERS
from tests.unit.engines.traps.seeing import seen, showing


def test_it_answers_one_after_the_other() -> None:
    assert list(seen(TRANSFORMERS, showing({}))) == ["one-at-a-time"]
