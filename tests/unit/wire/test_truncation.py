"""What is told of as left out, and what is not: a false alarm is worse than a miss."""

from typing import Any

import pytest

from proxy.live.tokenizers import load_vocabulary
from proxy.wire.tokens import Estimator
from proxy.wire.truncation import MAX_B, has_lost_context, is_cut, may_be_cut
from proxy.wire.usage import NO_USAGE, Usage

CONTEXT = 4096
WORDS = "The tide came in over the harbour wall, and nobody had moved the boats. "
"""16 tokens of o200k_base."""
TOLD = Usage(3000, 10)


def chat(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]}


def cut(text: str, usage: Usage = TOLD, ratio: float = 1.0) -> bool:
    estimator = Estimator()
    estimator.ratio = ratio
    return is_cut(chat(text), usage, CONTEXT, None, estimator)


def test_twice_as_much_text_as_fits_was_cut() -> None:
    assert cut(WORDS * 512)


@pytest.mark.parametrize("wherever", ["messages", "parts", "prompt", "input", "system"])
def test_text_counts_wherever_an_api_has_it(wherever: str) -> None:
    text = WORDS * 600
    fields: dict[str, Any] = {
        "messages": chat(text),
        "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        "prompt": {"prompt": text},
        "input": {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]},
        "system": {"system": text, "messages": []},
    }[wherever]
    assert is_cut(fields, TOLD, CONTEXT, None, Estimator())


def test_about_as_much_as_fits_is_no_alarm() -> None:
    """Where it does not show, nothing is said: an estimate may be that wrong."""
    assert not cut(WORDS * 300)


def test_exactly_a_full_context_needs_less_evidence() -> None:
    assert cut(WORDS * 340, Usage(CONTEXT, 10))
    assert not cut(WORDS * 200, Usage(CONTEXT, 10))


@pytest.mark.parametrize(
    "text", [" " * 100_000, "\n" * 50_000, "=" * 60_000, "-" * 70_000 + WORDS * 200, "0123456789" * 1200]
)
def test_text_of_few_tokens_is_no_alarm(text: str) -> None:
    """Vocabularies have tokens for long runs, and take three digits for one."""
    assert not cut(text)


def test_pictures_are_no_text() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "aZ3/" * 50_000}}
    fields = {"messages": [{"role": "user", "content": [picture, {"type": "text", "text": "What is it?"}]}]}
    assert not is_cut(fields, TOLD, CONTEXT, None, Estimator())


def test_a_model_with_few_tokens_for_much_text_is_judged_by_its_own_ratio() -> None:
    text = WORDS * 512
    assert cut(text, ratio=2.0)
    assert not cut(text, ratio=0.5)


def test_the_tokenizer_of_the_model_counts_exactly() -> None:
    vocabulary = load_vocabulary("o200k_base")
    assert vocabulary is not None
    each = vocabulary.encode_count(WORDS)
    fits, does_not = CONTEXT // each - 10, CONTEXT // each + 20
    assert not is_cut(chat(WORDS * fits), TOLD, CONTEXT, vocabulary, Estimator())
    assert is_cut(chat(WORDS * does_not), TOLD, CONTEXT, vocabulary, Estimator())
    assert not is_cut(chat("=-" * 6000), TOLD, CONTEXT, vocabulary, Estimator()), "whatever the estimate is"


def test_a_vocabulary_that_cannot_count_leaves_the_estimate() -> None:
    class Broken:
        def encode_count(self, text: str) -> int:
            raise ValueError

        def pieces(self, text: str) -> list[str]:
            raise ValueError

    assert is_cut(chat(WORDS * 600), TOLD, CONTEXT, Broken(), Estimator())


@pytest.mark.parametrize("fields", [{}, {"messages": 3}, {"messages": [[[[[["x" * 99_999]]]]]]}, {"prompt": [1, 2]}])
def test_nonsense_is_nothing(fields: dict[str, Any]) -> None:
    assert not is_cut(fields, TOLD, CONTEXT, None, Estimator())


def test_what_is_worth_a_look() -> None:
    assert may_be_cut(TOLD, CONTEXT, 20_000)
    assert not may_be_cut(NO_USAGE, CONTEXT, 20_000)
    assert not may_be_cut(Usage(CONTEXT + 1, 1), CONTEXT, 20_000), "its context is not what it told"
    assert not may_be_cut(TOLD, CONTEXT, CONTEXT), "a token has a byte"
    assert not may_be_cut(TOLD, CONTEXT, MAX_B + 1)


def test_an_answer_that_goes_on_beyond_the_context_has_lost_its_beginning() -> None:
    assert has_lost_context(Usage(4000, 200), CONTEXT)
    assert not has_lost_context(Usage(4000, 97), CONTEXT), "it stopped at the end; the last token is not in it"
    assert not has_lost_context(Usage(None, 9000), CONTEXT)
    assert not has_lost_context(NO_USAGE, CONTEXT)
