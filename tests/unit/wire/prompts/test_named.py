"""Which version of a prompt a request gets."""

import pytest

from proxy.model.faults import FaultError
from proxy.wire.prompts.assembly import Reference
from proxy.wire.prompts.named import NamedPrompts, conversation
from proxy.wire.prompts.template import Template, text_with_variables


def template(version: str) -> Template:
    return Template("support", version, text_with_variables("x"))


PROMPTS = NamedPrompts([("3", 90, template("3")), ("4", 10, template("4")), ("5", 0, template("5"))])


def wanted(name: str = "support", version: str = "") -> Reference:
    return Reference(name, version, {}, "prompt.id")


def test_traffic_is_split_by_weight_and_a_conversation_keeps_its_version() -> None:
    drawn = [PROMPTS.find(wanted(), f"session {number}").label for number in range(3000)]
    assert 0.07 < drawn.count("support@4") / len(drawn) < 0.13
    assert "support@5" not in drawn
    assert drawn == [PROMPTS.find(wanted(), f"session {number}").label for number in range(3000)]
    assert PROMPTS.find(wanted(version="5"), "").label == "support@5"
    assert [one.label for one in PROMPTS] == ["support@3", "support@4", "support@5"]


@pytest.mark.parametrize("one", [wanted("nobody"), wanted(version="9")])
def test_what_there_is_not_is_a_400_that_names_it(one: Reference) -> None:
    with pytest.raises(FaultError, match=one.version or one.name) as raised:
        PROMPTS.find(one, "")
    assert (raised.value.fault.code, raised.value.fault.param) == ("prompt_not_found", "prompt.id")


def test_a_conversation_is_its_session_or_how_it_begins() -> None:
    first, second = {"role": "user", "content": "a"}, {"role": "user", "content": "b"}
    assert conversation("", "t", {"messages": [first]}) == conversation("", "t", {"messages": [first, second]})
    assert conversation("", "t", {"messages": [first]}) != conversation("", "t", {"messages": [second]})
    assert conversation("", "t", {"input": "x"}) != conversation("", "u", {"input": "x"})
    assert conversation("s", "t", {"messages": [first]}) == conversation("s", "t", {"messages": [second]})
    assert conversation("", "t", {})
