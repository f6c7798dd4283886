"""Token granularity, case by case; tests/property/test_rechunk.py holds what is true of all streams."""

import json
import time
from typing import Any

import pytest

from proxy.wire.counting import Evidence
from proxy.wire.event import Event
from proxy.wire.rechunk import TokenRechunker
from proxy.wire.tokens import CountSource, Estimator
from tests.support.stream_text import Heard, payload


class Words:
    """A tokenizer whose tokens are words with the space before them."""

    def encode_count(self, text: str) -> int:
        return len(self.pieces(text))

    def pieces(self, text: str) -> list[str]:
        first, *rest = text.split(" ")
        return ([first] if first else []) + [" " + word for word in rest]


def chunk(delta: dict[str, Any], *, top: dict[str, Any] | None = None, **choice: Any) -> bytes:
    fields = {"id": "c", "created": 7, "model": "m", "choices": [{"index": 0, "delta": delta, **choice}], **(top or {})}
    return f"data: {json.dumps(fields, separators=(',', ':'), ensure_ascii=False)}\n\n".encode()


def usage(tokens: Any) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 5, "completion_tokens": tokens}}


def contents(events: list[bytes], name: str = "content") -> list[str]:
    return [choice["delta"].get(name) for event in events for choice in (payload(event) or {})["choices"]]


def logprobs(*tokens: str | list[int]) -> dict[str, Any]:
    return {
        "content": [
            {
                "token": token if isinstance(token, str) else "?",
                "bytes": list(token.encode()) if isinstance(token, str) else token,
            }
            for token in tokens
        ]
    }


def rechunker(**evidence: Any) -> TokenRechunker:
    return TokenRechunker(Evidence(Estimator(), **evidence))


# --- borders


def test_logprobs_say_where_tokens_begin() -> None:
    event = chunk(
        {"content": "unhappily ever"}, logprobs=logprobs("un", "happ", "ily", " ever"), token_ids=[4, 5, 6, 7]
    )
    out = rechunker().feed(Event(event))
    assert contents(out) == ["un", "happ", "ily", " ever"]
    choices = [(payload(one) or {})["choices"][0] for one in out]
    assert [choice["token_ids"] for choice in choices] == [[4], [5], [6], [7]]
    assert [len(choice["logprobs"]["content"]) for choice in choices] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("text", "tokens", "pieces"),
    [
        ("appy ever", ["happy", " ever"], ["appy", " ever"]),  # the detokenizer dropped something in front
        ("happy ev", ["happy", " ever"], ["happy", " ev"]),  # cut at a stop sequence
        ("so happy", [" h", "appy"], ["so h", "appy"]),  # text held back earlier comes now
    ],
)
def test_text_that_is_not_quite_its_tokens_is_aligned(text: str, tokens: list[str], pieces: list[str]) -> None:
    assert contents(rechunker().feed(Event(chunk({"content": text}, logprobs=logprobs(*tokens))))) == pieces


def test_tokens_that_share_a_character_stay_together() -> None:
    face = "😀".encode()
    event = chunk(
        {"content": "a😀b"}, logprobs=logprobs("a", list(face[:2]), list(face[2:]), "b"), token_ids=[1, 2, 3, 4]
    )
    out = rechunker().feed(Event(event))
    assert contents(out) == ["a", "😀", "b"]
    assert [(payload(one) or {})["choices"][0]["token_ids"] for one in out] == [[1], [2, 3], [4]]


@pytest.mark.parametrize(
    "grapheme",
    [
        "e\u0301",
        "👩\u200d👩\u200d👧",
        "🇩🇪",
        "👍🏽",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "क्षि",
        "각",
        "\r\n",
        "ｶﾞ",
        "🏴\U000e0067\U000e0062\U000e007f",
    ],
)
@pytest.mark.parametrize("how", ["ids", "tokenizer", "usage"])
def test_no_cut_inside_a_grapheme(grapheme: str, how: str) -> None:
    class Characters(Words):
        def pieces(self, text: str) -> list[str]:
            return list(text)

    text = grapheme * 4
    extra: dict[str, Any] = {"token_ids": list(range(len(text)))} if how == "ids" else {}
    top = usage(len(text)) if how == "usage" else None
    out = rechunker(tokenizer=Characters() if how == "tokenizer" else None).feed(
        Event(chunk({"content": text}, top=top, **extra))
    )
    assert contents(out) == [grapheme] * 4


def test_flags_are_cut_in_pairs_only() -> None:
    event = chunk({"content": "🇩🇪🇫🇷🇮🇹"}, token_ids=list(range(6)))
    assert contents(rechunker().feed(Event(event))) == ["🇩🇪", "🇫🇷", "🇮🇹"]


def test_token_ids_without_texts_are_cut_at_words() -> None:
    event = chunk({"content": " must cannot header"}, token_ids=[1, 2, 3])
    assert contents(rechunker().feed(Event(event))) == [" must", " cannot", " header"]


def test_more_tokens_than_words_cut_the_longest_words() -> None:
    pieces = contents(rechunker().feed(Event(chunk({"content": " a extraordinarily b"}, token_ids=[1, 2, 3, 4, 5]))))
    assert len(pieces) == 5
    assert pieces[0] == " a"
    assert pieces[-1] == " b"


def test_growing_usage_says_how_many_and_stays_with_the_last() -> None:
    one = rechunker()
    one.feed(Event(chunk({"role": "assistant", "content": ""}, top=usage(0))))
    out = one.feed(Event(chunk({"content": " must cannot"}, top=usage(2))))
    assert contents(out) == [" must", " cannot"]
    assert [(payload(event) or {})["usage"] for event in out] == [None, usage(2)["usage"]]
    assert one.count == (2, CountSource.CONTINUOUS_USAGE)


def test_usage_stays_with_the_last_also_when_the_shape_is_known() -> None:
    one = rechunker()
    one.feed(Event(chunk({"content": " so"}, top=usage(1))))
    one.feed(Event(chunk({"content": " it"}, top=usage(2))))
    event = chunk({"content": " must cannot"}, top=usage(4))
    out = one.feed(Event(event))
    assert contents(out) == [" must", " cannot"]
    assert [(payload(piece) or {})["usage"] for piece in out] == [None, usage(4)["usage"]]
    assert one.count == (4, CountSource.CONTINUOUS_USAGE)


def test_ids_go_with_their_tokens_also_when_the_shape_is_known() -> None:
    one = rechunker()
    one.feed(Event(chunk({"content": " so"}, token_ids=[1])))
    out = one.feed(Event(chunk({"content": " mu\u0301\u0302 cannot be"}, token_ids=[7, 8, 9, 10, 11])))
    ids = [(payload(piece) or {})["choices"][0]["token_ids"] for piece in out]
    assert [each for some in ids for each in some] == [7, 8, 9, 10, 11]
    assert one.count == (6, CountSource.TOKEN_IDS)


def test_the_tokenizer_comes_before_the_estimate() -> None:
    one = rechunker(tokenizer=Words())
    assert contents(one.feed(Event(chunk({"content": "a b c"})))) == ["a", " b", " c"]
    assert one.count == (3, CountSource.TOKENIZER)


def test_without_evidence_short_words_are_one_token_and_long_text_is_cut() -> None:
    one = rechunker()
    for text in (" finally", "--------", " the", "\n", "漢"):
        event = chunk({"content": text})
        assert one.feed(Event(event)) == [event]
    assert one.count == (5, CountSource.ESTIMATE)
    out = one.feed(Event(chunk({"content": " The quick brown fox jumps over the lazy dog and runs away."})))
    assert 8 <= len(out) <= 18


def test_an_engine_of_one_token_an_event_is_believed_until_it_shows_more() -> None:
    one = rechunker(one_token_per_event=True)
    event = chunk({"content": "a b c d e f"})
    assert one.feed(Event(event))[0] is event
    assert len(one.feed(Event(chunk({"content": "a b"}, token_ids=[1, 2])))) == 2


# --- what goes where


def test_role_first_reason_last_and_the_rest_everywhere() -> None:
    event = chunk(
        {"role": "assistant", "content": "a b c"},
        finish_reason="stop",
        stop_reason=7,
        token_ids=[1, 2, 3],
        top={"system_fingerprint": "f", "timings": {"n": 3}, "prompt_token_ids": [9]},
    )
    out = [payload(one) or {} for one in rechunker().feed(Event(event))]
    assert [one["choices"][0]["delta"] for one in out] == [
        {"role": "assistant", "content": "a"},
        {"content": " b"},
        {"content": " c"},
    ]
    assert [one["choices"][0]["finish_reason"] for one in out] == [None, None, "stop"]
    assert [one["choices"][0]["stop_reason"] for one in out] == [None, None, 7]
    assert [one.get("timings") for one in out] == [None, None, {"n": 3}]
    assert [one["prompt_token_ids"] for one in out] == [[9], None, None]
    assert {one["system_fingerprint"] for one in out} == {"f"}


def test_a_tool_call_is_named_once() -> None:
    call = {"index": 1, "id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    out = rechunker().feed(Event(chunk({"content": None, "tool_calls": [call]}, token_ids=[1, 2, 3, 4])))
    calls = [piece[0] for piece in contents(out, "tool_calls")]
    assert calls[0]["id"] == "x"
    assert all(set(later) == {"index", "function"} and set(later["function"]) == {"arguments"} for later in calls[1:])
    assert "".join(piece["function"]["arguments"] for piece in calls) == '{"a": 1}'
    assert len(calls) == 4


def test_parallel_calls_in_one_delta_come_one_after_the_other() -> None:
    calls = [{"index": at, "id": f"c{at}", "function": {"name": "f", "arguments": "12 34"}} for at in range(2)]
    event = chunk({"tool_calls": calls}, token_ids=[1, 2, 3, 4])
    out = rechunker().feed(Event(event))
    assert [piece[0]["index"] for piece in contents(out, "tool_calls")] == [0, 0, 1, 1]
    assert Heard(out).same_as(Heard([event]))


def test_reasoning_written_under_two_names_stays_under_both() -> None:
    out = rechunker().feed(Event(chunk({"reasoning_content": "a b", "reasoning": "a b"}, token_ids=[1, 2])))
    assert contents(out, "reasoning") == contents(out, "reasoning_content") == ["a", " b"]


def test_audio_in_a_delta_is_not_repeated() -> None:
    out = rechunker().feed(Event(chunk({"content": "a b", "audio": {"data": "AAAA"}}, token_ids=[1, 2])))
    assert contents(out, "audio") == [{"data": "AAAA"}, None]


def test_choices_of_one_event_are_written_one_by_one_when_one_is_cut() -> None:
    fields = {
        "id": "c",
        "usage": {"completion_tokens": 3},
        "choices": [
            {"index": 1, "text": " one", "token_ids": [1], "finish_reason": "stop"},
            {"index": 0, "text": " a b", "token_ids": [1, 2]},
        ],
    }
    event = f"data: {json.dumps(fields)}\n\n".encode()
    out = rechunker().feed(Event(event))
    assert [[choice["index"] for choice in (payload(one) or {})["choices"]] for one in out] == [[1], [0], [0]]
    assert Heard(out).same_as(Heard([event]))


def test_the_responses_api_keeps_its_numbers_ascending() -> None:
    one = rechunker()
    delta = {"type": "response.output_text.delta", "item_id": "i", "delta": "a b c", "sequence_number": 4}
    logs = [{"token": "a", "bytes": [97]}, {"token": " b"}, {"token": " c"}]
    out = one.feed(
        Event(f"event: response.output_text.delta\ndata: {json.dumps({**delta, 'logprobs': logs})}\n\n".encode())
    )
    out += one.feed(
        Event(b'event: response.done\ndata: {"response":{"sequence_number":1},"sequence_number":5,"type":"x"}\n\n')
    )
    assert [(payload(event) or {})["sequence_number"] for event in out] == [4, 5, 6, 7]
    assert all(event.startswith(b"event: response.") for event in out)


def test_big_integers_and_nan_survive_a_cut() -> None:
    big = 2**80
    for name, text in (("created", str(big)), ("score", "NaN")):
        event = b'data: {"%b":%b,"choices":[{"index":0,"delta":{"content":"a b"},"token_ids":[1,2]}]}\n\n' % (
            name.encode(),
            text.encode(),
        )
        out = rechunker().feed(Event(event))
        assert len(out) == 2
        assert all(f'"{name}":{text}'.encode() in one for one in out)


def test_lone_surrogates_pass_and_are_cut_around() -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a \\ud83d b"},"token_ids":[1,2,3]}]}\n\n'
    out = rechunker().feed(Event(event))
    assert "".join(contents(out)) == "a \ud83d b"
    assert len(out) == 3


# --- what passes


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[],"usage":{"completion_tokens":2}}\n\n',
        b'data: {"error":{"message":"a b c d e f g h"}}\n\n',
        b"event: ping\ndata: {}\n\n",
        b'data: {"type":"response.audio.delta","delta":"AAAA BBBB CCCC DDDD EEEE"}\n\n',
        b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"a b c d e f g h i j k l"}}]}\n\n',
        b"data: no JSON at all\n\n",
        b"data: null\n\n",
    ],
)
def test_what_holds_no_output_is_the_same_object(event: bytes) -> None:
    assert rechunker().feed(Event(event))[0] is event


@pytest.mark.parametrize(
    "extra", [{}, {"token_ids": [5]}, {"logprobs": logprobs(" word")}], ids=["none", "ids", "logprobs"]
)
def test_one_token_is_the_same_object_also_when_the_shape_is_known(extra: dict[str, Any]) -> None:
    one = rechunker()
    for text in (" word", "\n", '"', " caf\u00e9", "\\"):
        event = chunk({"content": text}, **extra)
        assert one.feed(Event(event))[0] is event
    assert one.count.value == 5


def test_text_that_looks_like_the_end_of_an_event_is_text() -> None:
    one = rechunker(tokenizer=Words())
    one.feed(Event(chunk({"content": "a"})))
    event = chunk({"content": '"}}]} data: [DONE]\n\n b'})
    assert "".join(contents(one.feed(Event(event)))) == '"}}]} data: [DONE]\n\n b'


def test_a_different_event_of_the_same_ends_is_read_anew() -> None:
    one = rechunker(tokenizer=Words())
    one.feed(Event(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'))
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a","refusal":"b c"}}]}\n\n'
    assert Heard(one.feed(Event(event))).same_as(Heard([event]))


# --- bounds


def test_a_delta_of_a_mebibyte_is_cut_without_tokenising() -> None:
    class Never(Words):
        def encode_count(self, text: str) -> int:
            raise AssertionError("long text must not be tokenised here")

    event = chunk({"content": "a\u0301 漢" * 200_000})
    one = rechunker(tokenizer=Never())
    start = time.process_time()
    out = one.feed(Event(event))
    assert time.process_time() - start < 5
    assert 16 <= len(out) <= 1024
    assert "".join(contents(out)) == "a\u0301 漢" * 200_000
    assert one.count.source is CountSource.ESTIMATE


@pytest.mark.parametrize("text", ["🇩" * 30_000, "\u0301" * 60_000, "👩\u200d" * 30_000, "a" * 65_536, " " * 65_536])
def test_hostile_text_is_bounded_work(text: str) -> None:
    start = time.process_time()
    out = rechunker().feed(Event(chunk({"content": text}, token_ids=list(range(20_000)))))
    assert time.process_time() - start < 5
    assert "".join(contents(out)) == text


def test_a_huge_envelope_is_not_repeated_without_end() -> None:
    event = chunk({"content": "a b " * 200}, token_ids=list(range(800)), top={"x": "y" * 500_000})
    out = rechunker().feed(Event(event))
    assert sum(map(len, out)) <= 5 * 2**20
    assert Heard(out).same_as(Heard([event]))


# --- counts


@pytest.mark.parametrize("wrong", [-1, 2**70, "3", None, True, 1.5])
def test_usage_that_is_no_count_is_no_evidence(wrong: Any) -> None:
    one = rechunker()
    one.feed(Event(chunk({"content": " word"}, top=usage(wrong))))
    assert one.count == (1, CountSource.ESTIMATE)


def test_zeros_beside_text_are_no_evidence() -> None:
    one = rechunker()
    for _ in range(3):
        one.feed(Event(chunk({"content": " word"}, top=usage(0))))
    assert one.count == (3, CountSource.ESTIMATE)


def test_usage_that_only_comes_at_the_end_does_not_cut_the_last_word() -> None:
    one = rechunker()
    one.feed(Event(chunk({"content": " some"})))
    event = chunk({"content": "thing"}, finish_reason="stop", top=usage(40))
    assert one.feed(Event(event)) == [event]
    assert one.count == (40, CountSource.ENGINE_USAGE)


def test_a_huge_usage_is_told_as_the_engines() -> None:
    one = rechunker()
    out = one.feed(Event(chunk({"content": "ab"}, top=usage(2**52))))
    assert contents(out) == ["a", "b"]
    assert one.count == (2**52, CountSource.CONTINUOUS_USAGE)


def test_usage_is_counted_per_choice() -> None:
    one = rechunker()
    for index in (1, 0):
        for told in (1, 2):
            event = chunk({"content": " w"}, top=usage(told))
            one.feed(Event(event.replace(b'"index":0', b'"index":%d' % index)))
    assert one.count == (4, CountSource.CONTINUOUS_USAGE)


def test_a_sum_names_its_weakest_source() -> None:
    one = rechunker()
    one.feed(Event(chunk({"content": " a b"}, token_ids=[1, 2])))
    assert one.count == (2, CountSource.TOKEN_IDS)
    one.feed(Event(chunk({"content": " word"})))
    assert one.count == (3, CountSource.ESTIMATE)
    one.feed(Event(b'data: {"choices":[],"usage":{"completion_tokens":9}}\n\n'))
    assert one.count == (9, CountSource.ENGINE_USAGE)


def test_the_estimate_learns_from_the_final_usage() -> None:
    estimator = Estimator()
    for _ in range(30):
        one = TokenRechunker(Evidence(estimator))
        for _ in range(10):
            one.feed(Event(chunk({"content": " The quick brown fox jumps over the lazy dog, again and again."})))
        counted = one.count.value
        one.feed(Event(b'data: {"choices":[],"usage":{"completion_tokens":300}}\n\n'))
    assert abs(counted - 300) < 30
