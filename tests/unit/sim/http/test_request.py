"""A final assistant message is continued with the very tokens that the whole answer would have had."""

from typing import Any

import pytest

from proxy.sim.http.refusal import Refusal
from proxy.sim.http.request import GenerationRequest, RequestParser
from proxy.sim.http.settings import SimSettings

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Tell me."}], "temperature": 0, "max_tokens": 40}


def asked(begun: str | None = None, **more: Any) -> GenerationRequest:
    body = CHAT | more
    if begun is not None:
        body["messages"] = [*CHAT["messages"], {"role": "assistant", "content": begun}]
        body |= {"continue_final_message": True, "add_generation_prompt": False} | more
    return RequestParser(SimSettings()).chat(body, None)


@pytest.mark.parametrize("more", [{}, {"ignore_eos": True}])
def test_every_cut_gives_the_same_rest(more: dict[str, Any]) -> None:
    whole = asked(**more)
    (answer,) = whole.choices
    assert len(answer.tokens) > 5
    for cut in range(1, len(answer.tokens)):
        rest = asked("".join(answer.tokens[:cut]), max_tokens=40 - cut, **more)
        (choice,) = rest.choices
        assert list(choice.tokens) == list(answer.tokens[cut:])
        assert choice.finish_reason == answer.finish_reason
        assert rest.prompts[0].tokens == whole.prompts[0].tokens + cut


def test_a_beginning_that_is_not_its_own_counts_as_prompt() -> None:
    whole = asked()
    other = asked("Xylophone 1")
    assert other.prompts[0].tokens == whole.prompts[0].tokens + 3
    assert other.choices[0].tokens == whole.choices[0].tokens


def test_without_the_flag_an_assistant_message_is_a_turn() -> None:
    first = "".join(asked().choices[0].tokens[:3])
    turn = asked(first, continue_final_message=False)
    assert turn.choices[0].tokens != asked(first).choices[0].tokens


def test_both_flags_are_refused() -> None:
    with pytest.raises(Refusal):
        asked("So", add_generation_prompt=True)
