"""A stream broken at any events, any number of times, and continued by ideal engines is the unbroken stream."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.endpoint import Endpoint
from proxy.wire.continuation import Continuation
from proxy.wire.event import Event
from proxy.wire.resumable import is_resumable
from tests.support.ideal_engine import IdealEngine, Seen, Unit, seen

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
UNITS = st.builds(Unit, WORDS, st.integers(1, 3))
ASCII_UNITS = st.builds(Unit, st.text(st.characters(max_codepoint=126), min_size=1, max_size=6), st.just(1))


def request(endpoint: Endpoint, limit: int | None, *, usage: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": "tiny", "temperature": 0, "stream": True}
    if endpoint is Endpoint.CHAT:
        fields["messages"] = [{"role": "user", "content": "Tell"}]
    else:
        fields["prompt"] = "Tell:"
    if limit is not None or endpoint is Endpoint.COMPLETIONS:
        fields["max_tokens"] = limit or 500
    if usage:
        fields["stream_options"] = {"include_usage": True}
    return fields


def through_failures(engines: list[IdealEngine], fields: dict[str, Any], cuts: list[int]) -> tuple[list[bytes], int]:
    """What the client gets when each engine dies after so many events, and how many attempts it took."""
    endpoint = engines[0].endpoint
    body = json.dumps(fields, ensure_ascii=False).encode()
    assert is_resumable(fields, endpoint, engines[0].dialect)
    continuation = Continuation(fields, endpoint, engines[0].dialect)
    got: list[bytes] = []
    for engine, cut in zip(engines, [*cuts, None], strict=True):
        for event in list(engine.stream(continuation.body(body)))[:cut]:
            continuation.saw(Event(event))
            if out := continuation.rewrite(Event(event)):
                got.append(out.raw)
        assert not continuation.disagrees
        if not continuation.can_continue():
            break
        assert continuation.fits(engine.dialect)
        continuation.next_attempt()
    return got, continuation.attempt


def engines_of(answer: list[Unit], endpoint: Endpoint, packs: list[int], kind: str) -> list[IdealEngine]:
    return [IdealEngine(answer, endpoint, name="x" * (i + 1), pack=p, kind=kind) for i, p in enumerate(packs)]


def whole(engine: IdealEngine, fields: dict[str, Any]) -> Seen:
    return seen(list(engine.stream(json.dumps(fields).encode())))


def check(got: list[bytes], unbroken: Seen) -> None:
    """Equal when the end was reached; where a continuation was refused, a prefix of it and no end invented."""
    result = seen(got) if got else None
    if result is None:
        return
    assert result.identities == seen(got[:1]).identities
    assert result.roles <= 1
    assert unbroken.text.startswith(result.text)
    if result.dones:
        assert result._replace(identities=unbroken.identities) == unbroken
    elif result.finish is not None:
        assert (result.text, result.finish) == (unbroken.text, unbroken.finish)


@settings(max_examples=300, deadline=None)
@given(
    endpoint=st.sampled_from([Endpoint.CHAT, Endpoint.COMPLETIONS]),
    answer=st.lists(UNITS, max_size=12),
    limit=st.none() | st.integers(1, 30),
    cuts=st.lists(st.integers(0, 9), max_size=3),
    packs=st.lists(st.integers(1, 3), min_size=4, max_size=4),
)
def test_equal_with_continuous_usage(
    endpoint: Endpoint, answer: list[Unit], limit: int | None, cuts: list[int], packs: list[int]
) -> None:
    engines = engines_of(answer, endpoint, packs[: len(cuts) + 1], "vllm")
    fields = request(endpoint, limit, usage=True)
    got, _ = through_failures(engines, fields, cuts)
    check(got, whole(engines[0], fields))


@settings(max_examples=200, deadline=None)
@given(
    answer=st.lists(ASCII_UNITS, max_size=12),
    limit=st.integers(1, 20),
    cuts=st.lists(st.integers(0, 9), max_size=3),
)
def test_equal_with_events_counted(answer: list[Unit], limit: int, cuts: list[int]) -> None:
    engines = engines_of(answer, Endpoint.COMPLETIONS, [1] * (len(cuts) + 1), "llama_cpp")
    fields = request(Endpoint.COMPLETIONS, limit, usage=True)
    got, _ = through_failures(engines, fields, cuts)
    check(got, whole(engines[0], fields))


@settings(max_examples=100, deadline=None)
@given(
    words=st.lists(st.from_regex(r"[a-zé東]{1,4}", fullmatch=True), min_size=2, max_size=9),
    endpoint=st.sampled_from([Endpoint.CHAT, Endpoint.COMPLETIONS]),
    data=st.data(),
)
def test_plain_words_are_always_continued(words: list[str], endpoint: Endpoint, data: st.DataObject) -> None:
    """The rules do not refuse everything: words broken off before their end reach it."""
    answer = [Unit(("" if i == 0 else " ") + word, 1) for i, word in enumerate(words)]
    engines = engines_of(answer, endpoint, [1, 1], "vllm")
    fields = request(endpoint, None, usage=False)
    roles = 1 if endpoint is Endpoint.CHAT else 0
    cut = data.draw(st.integers(1, roles + len(words) - 1))
    got, attempts = through_failures(engines, fields, [cut])
    assert attempts == 2
    assert seen(got) == whole(engines[0], fields)
