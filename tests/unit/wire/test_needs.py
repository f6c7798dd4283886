"""Tools, pictures and sounds in the bodies of the three APIs that carry them."""

from typing import Any

import pytest

from proxy.model.abilities import NOTHING_NEEDED, Lack
from proxy.model.endpoint import Api
from proxy.wire import needs

TOOLS = [{"type": "function", "function": {"name": "f"}}]


def parts(*types: str) -> list[Any]:
    return [{"role": "user", "content": "text"}, {"role": "user", "content": [{"type": kind} for kind in types]}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"messages": parts("text")}, set()),
        ({"messages": parts("text", "image_url")}, {Lack.IMAGES}),
        ({"messages": parts("image", "input_audio")}, {Lack.IMAGES, Lack.AUDIO}),
        ({"input": parts("input_text", "input_image")}, {Lack.IMAGES}),
        ({"input": "a picture: image_url"}, set()),
        ({"prompt": ["once", "upon"]}, {Lack.PROMPTS}),
        ({"prompt": [1, 2, 3]}, {Lack.PROMPTS}),
        ({"prompt": "once"}, set()),
        ({"tools": TOOLS}, {Lack.TOOLS}),
        ({"tools": TOOLS, "tool_choice": "required"}, {Lack.TOOLS}),
        ({"tools": TOOLS, "tool_choice": "none"}, set()),
        ({"tools": []}, set()),
        ({"functions": [{"name": "f"}]}, {Lack.TOOLS}),
        ({"messages": [None, 7, {"content": [None, {"type": []}, {}]}]}, set()),
        ({"messages": {"content": 1}}, set()),
    ],
)
def test_needs(fields: dict[str, Any], expected: set[Lack]) -> None:
    assert needs.of(fields) == expected


def test_a_body_without_end_is_not_read_to_it() -> None:
    assert needs.of({"messages": parts(*["text"] * 5000, "image_url")}) is NOTHING_NEEDED


@pytest.mark.parametrize(
    ("fields", "is_shown"),
    [
        ({"messages": [{"role": "user", "content": "what?", "images": ["aGk="]}]}, True),
        ({"prompt": "what?", "images": ["aGk="]}, True),
        ({"messages": [{"role": "user", "content": "what?", "images": []}, 7]}, False),
        ({"messages": "x", "images": None}, False),
    ],
)
def test_pictures_beside_a_text_are_ollamas(fields: dict[str, Any], is_shown: bool) -> None:
    assert needs.of(fields, Api.OLLAMA) == ({Lack.IMAGES} if is_shown else set())
    assert needs.of(fields) == set()
