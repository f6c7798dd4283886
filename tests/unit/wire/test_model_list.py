"""Models in Anthropic's shape."""

from typing import Any

import orjson
import pytest

from proxy.wire.model_list import as_anthropic

MODEL = {"id": "qwen/q", "object": "model", "created": 1_700_000_000, "owned_by": "vllm", "max_model_len": 9}
TOLD = {"type": "model", "id": "qwen/q", "display_name": "qwen/q", "created_at": "2023-11-14T22:13:20Z"}


def told(fields: Any) -> Any:
    return orjson.loads(as_anthropic(orjson.dumps(fields)))


def test_one_and_many() -> None:
    other = {**MODEL, "id": "z"}
    assert told(MODEL) == TOLD
    many = told({"object": "list", "data": [MODEL, other]})
    assert many["data"] == [TOLD, {**TOLD, "id": "z", "display_name": "z"}]
    assert (many["has_more"], many["first_id"], many["last_id"]) == (False, "qwen/q", "z")


def test_none() -> None:
    assert told({"object": "list", "data": []}) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize("created", [None, "x", -1, 10**15, True, 1.5])
def test_a_time_that_is_none_is_the_epoch(created: Any) -> None:
    assert told({**MODEL, "created": created})["created_at"] == "1970-01-01T00:00:00Z"
