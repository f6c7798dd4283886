"""Requests and their readings, as every fault test needs them."""

import json
from typing import Any

from tests.support.raw_client import RawAnswer

CHAT: dict[str, Any] = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
PATH = "/v1/chat/completions"


def chat(stream: bool, **more: Any) -> dict[str, Any]:
    return {**CHAT, "stream": stream, **more}


def script(text: str, request_id: str | None = None) -> list[tuple[str, str]]:
    """The header that scripts the engine, and the id by which the log line is found."""
    return [("x-fake", text), *([("x-request-id", request_id)] if request_id else [])]


def events(answer: RawAnswer) -> list[str]:
    """The data of each event of a stream, in order."""
    assert (answer.head.get("content-type") or "").startswith("text/event-stream")
    blocks = answer.body.decode().split("\n\n")
    return [line[6:] for block in blocks for line in block.split("\n") if line.startswith("data: ")]


def error_event(answer: RawAnswer) -> dict[str, Any]:
    """The error object in the last event of a stream; fails when the stream ended like a good one."""
    data = events(answer)
    assert "[DONE]" not in data
    error = json.loads(data[-1])["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    return dict(error)
