"""Text granularity, case by case; tests/property/test_rechunk.py holds what is true of all streams."""

from typing import Any

from proxy.wire.counting import Evidence
from proxy.wire.event import Event
from proxy.wire.rechunk_text import TextRechunker
from proxy.wire.tokens import CountSource, Estimator
from tests.support.stream_text import Heard, payload, whole
from tests.unit.wire.test_rechunk import chunk, contents, logprobs, usage


def rechunker() -> TextRechunker:
    return TextRechunker(Evidence(Estimator(), one_token_per_event=True))


def fed(one: TextRechunker, *texts: str, **choice: Any) -> list[str]:
    return contents([out for text in texts for out in one.feed(Event(chunk({"content": text}, **choice)))])


def test_pieces_of_a_word_wait_for_the_rest_of_it() -> None:
    one = rechunker()
    assert fed(one, "un", "happ", "ily") == []
    assert one.withholds
    assert fed(one, " ever") == ["unhappily"]
    assert contents(one.flush()) == [" ever"]
    assert not one.withholds


def test_a_space_ends_a_word_at_once() -> None:
    assert fed(rechunker(), "yes", ".\n") == ["yes.\n"]


def test_scripts_without_spaces_go_out_letter_by_letter() -> None:
    assert fed(rechunker(), "漢", "字", "かな") == ["漢", "字", "かな"]


def test_letters_that_only_combine_with_the_next_wait() -> None:
    one = rechunker()
    assert fed(one, "👩", "\u200d", "👩") == []
    assert contents(one.flush()) == ["👩\u200d👩"]


def test_halves_of_a_surrogate_pair_meet() -> None:
    one = rechunker()
    halves = [b'data: {"choices":[{"index":0,"delta":{"content":"\\u%b"}}]}\n\n' % half for half in (b"d83d", b"de00")]
    assert [one.feed(Event(half)) for half in halves] == [[], []]
    assert whole(contents(one.flush())[0]) == "😀"


def test_what_only_a_lenient_parser_reads_is_written_back() -> None:
    one = rechunker()
    one.feed(Event(chunk({"content": "wo"})))
    one.feed(Event(chunk({"content": "rd"}).replace(b'"index":0', b'"index":0,"score":NaN')))
    assert b'"score":NaN' in one.flush()[0]


def test_32_characters_are_enough() -> None:
    assert fed(rechunker(), "x" * 31, "y") == ["x" * 31 + "y"]
    assert fed(rechunker(), "x" * 31) == []


def test_empty_events_are_swallowed_by_the_next() -> None:
    one = rechunker()
    assert fed(one, "", "", " a", "") == []
    assert contents(one.flush()) == [" a"]


def test_endless_empty_events_do_not_pile_up() -> None:
    one = rechunker()
    out = [event for _ in range(1000) for event in one.feed(Event(chunk({"content": ""}, logprobs=logprobs(""))))]
    assert 10 <= len(out) <= 20


def test_one_event_alone_is_the_same_object() -> None:
    one, event = rechunker(), chunk({"content": " word"})
    assert one.feed(Event(event)) == []
    assert one.flush()[0] is event


def test_role_and_finish_are_never_held() -> None:
    one = rechunker()
    role, finish = chunk({"role": "assistant", "content": ""}), chunk({}, finish_reason="stop")
    assert one.feed(Event(role))[0] is role
    assert fed(one, "wor") == []
    out = one.feed(Event(finish))
    assert contents(out) == ["wor", None]
    assert out[-1] is finish


def test_what_is_no_delta_pushes_the_text_out_first() -> None:
    one = rechunker()
    fed(one, "wor")
    last = b'data: {"choices":[],"usage":{"completion_tokens":1}}\n\n'
    assert one.feed(Event(last)) == [chunk({"content": "wor"}), last]


def test_ids_and_logprobs_are_joined_and_usage_is_the_latest() -> None:
    one = rechunker()
    events = [
        chunk({"content": text}, top=usage(at), token_ids=[at], logprobs=logprobs(text))
        for at, text in enumerate(("wo", "rd"), 1)
    ]
    assert [one.feed(Event(event)) for event in events] == [[], []]
    (out,) = one.flush()
    fields = payload(out) or {}
    assert fields["choices"][0]["token_ids"] == [1, 2]
    assert [entry["token"] for entry in fields["choices"][0]["logprobs"]["content"]] == ["wo", "rd"]
    assert fields["usage"]["completion_tokens"] == 2


def test_reasoning_is_not_joined_with_content() -> None:
    one = rechunker()
    out = one.feed(Event(chunk({"reasoning": "so"}))) + one.feed(Event(chunk({"content": "yes"}))) + one.flush()
    assert contents(out, "reasoning") == ["so", None]
    assert contents(out) == [None, "yes"]


def test_arguments_of_one_call_are_joined_and_never_with_another() -> None:
    one = rechunker()
    calls = [(0, '{"ci'), (0, 'ty":'), (1, '{"da')]
    events = [chunk({"tool_calls": [{"index": at, "function": {"arguments": text}}]}) for at, text in calls]
    out = [event for each in events for event in one.feed(Event(each))] + one.flush()
    assert [piece[0]["function"]["arguments"] for piece in contents(out, "tool_calls")] == ['{"city":', '{"da']


def test_choices_wait_side_by_side() -> None:
    one = rechunker()
    events = [
        chunk({"content": text}).replace(b'"index":0', b'"index":%d' % index)
        for index, text in ((0, "un"), (1, "re"), (0, "do"), (1, "do"))
    ]
    out = [event for each in events for event in one.feed(Event(each))] + one.flush()
    assert contents(out) == ["undo", "redo"]
    assert Heard(out).same_as(Heard(events))


def test_response_events_keep_their_numbers_without_gaps() -> None:
    one, out = rechunker(), []
    for number, text in enumerate(("un", "do", " it")):
        body = f'{{"type":"response.output_text.delta","item_id":"i","delta":"{text}","sequence_number":{number}}}'
        out += one.feed(Event(f"event: response.output_text.delta\ndata: {body}\n\n".encode()))
    out += one.feed(Event(b'event: x\ndata: {"type":"response.completed","sequence_number":3}\n\n'))
    assert [(payload(event) or {}).get("delta") for event in out] == ["undo", " it", None]
    assert [(payload(event) or {})["sequence_number"] for event in out] == [0, 1, 2]


def test_tokens_are_counted_when_they_come_not_when_they_go() -> None:
    one = TextRechunker(Evidence(Estimator()))
    one.feed(Event(chunk({"content": "unhap"}, token_ids=[1, 2])))
    assert one.count == (2, CountSource.TOKEN_IDS)


def test_numbered_events_of_two_items_stay_in_order() -> None:
    one, out = rechunker(), []
    for number, item in enumerate(("i", "k", "i")):
        body = f'{{"type":"response.output_text.delta","item_id":"{item}","delta":"un","sequence_number":{number}}}'
        out += one.feed(Event(f"data: {body}\n\n".encode()))
    out += one.flush()
    assert [(payload(event) or {})["sequence_number"] for event in out] == [0, 1, 2]
