"""How many tokens an event holds, by the best evidence; what contradicts itself is none."""

from typing import Any

import pytest

from proxy.wire.counting import Evidence, TokenCounter, completion_tokens
from proxy.wire.deltas import Fields, parts
from proxy.wire.tokens import CountSource, Estimator


class Letters:
    """A vocabulary of single characters."""

    def encode_count(self, text: str) -> int:
        return len(text)

    def pieces(self, text: str) -> list[str]:
        return list(text)


class Broken(Letters):
    def encode_count(self, text: str) -> int:
        raise ValueError


def counter(**evidence: Any) -> TokenCounter:
    return TokenCounter(Evidence(Estimator(), **evidence))


def told(tokens: Any) -> Fields:
    return {"usage": {"completion_tokens": tokens}}


def event(text: str, usage: Fields | None = None, **choice: Any) -> Fields:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, **choice}], **(usage or {})}


def add(one: TokenCounter, fields: Fields) -> int:
    (part,) = parts(fields)
    return one.add(part, fields)


def test_ids_and_logprobs_go_before_usage_and_that_before_a_tokenizer() -> None:
    one = counter(tokenizer=Letters())
    assert add(one, event("abc")) == 3
    assert one.count == (3, CountSource.TOKENIZER)
    assert add(counter(tokenizer=Letters()), event("abc", told(2))) == 2
    assert add(counter(tokenizer=Letters()), event("abc", told(2), token_ids=[1])) == 1
    logprobs = {"content": [{"token": "ab"}, {"token": "c"}]}
    assert add(counter(tokenizer=Letters()), event("abc", logprobs=logprobs)) == 2


@pytest.mark.parametrize("broken", [None, Broken()])
def test_without_a_tokenizer_that_can_it_is_an_estimate(broken: Broken | None) -> None:
    one = counter(tokenizer=broken)
    assert add(one, event("word")) == 1
    assert one.count.source is CountSource.ESTIMATE


def test_a_sum_is_as_good_as_its_worst_part() -> None:
    one = counter()
    add(one, event("a", token_ids=[1, 2]))
    assert one.count == (2, CountSource.TOKEN_IDS)
    add(one, event("word"))
    assert one.count == (3, CountSource.ESTIMATE)
    assert one.tokens == 3


@pytest.mark.parametrize("second", [3, 2, 0, -1, None, "5", True])
def test_usage_that_does_not_grow_is_no_evidence(second: Any) -> None:
    one = counter()
    assert add(one, event("a b c", told(3))) == 3
    k = add(one, event("word", told(second)))
    assert k == (0 if second == 3 else 1), "the same again: an event without a token of its own"


def test_the_first_usage_says_nothing_of_text_that_came_before_it() -> None:
    one = counter()
    add(one, event("word"))
    assert add(one, event("next", told(9))) == 1


def test_usage_of_several_choices_is_about_none_of_them() -> None:
    fields = event("a b", told(50))
    (part,) = parts(fields)
    assert counter(tokenizer=Letters()).add(part, fields, alone=False) == 3


def test_the_engines_word_of_one_token_an_event() -> None:
    one = counter(one_token_per_event=True)
    assert not one.add_one(0), "a text that is not known yet"
    assert add(one, event("unhappily")) == 1
    assert one.add_one(0)
    assert one.count == (2, CountSource.ESTIMATE)
    one.add_total(told(7))
    assert not one.add_one(0)
    assert (one.tokens, one.count) == (7, (7, CountSource.ENGINE_USAGE))


def test_what_was_told_last_counts_further() -> None:
    one = counter()
    add(one, event("a", told(1)))
    assert one.add_told(0, {"completion_tokens": 4}) == 3
    assert one.add_told(0, {"completion_tokens": 4}) == 0
    assert one.add_told(1, {"completion_tokens": 9}) == 0, "another text"
    assert one.count == (4, CountSource.CONTINUOUS_USAGE)


def test_the_last_word_teaches_the_estimator() -> None:
    estimator = Estimator()
    one = TokenCounter(Evidence(estimator))
    text = "some words that are long enough to learn from, " * 20
    one.add_text(0, text)
    expected = one.tokens
    one.add_total(told(2 * expected))
    assert estimator.ratio > 1.0
    before = estimator.ratio
    one.add_total(told(2 * expected))
    assert estimator.ratio == before, "once"


@pytest.mark.parametrize("usage", [None, [], {}, *({"completion_tokens": tokens} for tokens in (-1, 1.5, 2**60))])
def test_nonsense_is_no_count(usage: Any) -> None:
    assert completion_tokens({"usage": usage}) is None
    one = counter()
    one.add_total({"usage": usage})
    assert one.count == (0, CountSource.ESTIMATE)


def test_the_responses_api_says_it_inside() -> None:
    one = counter()
    one.add_total({"response": {"usage": {"output_tokens": 12}}})
    assert one.tokens == 12
