"""What llama-server would have streamed of a message or a response that it gives in one piece, after its source
(0.5.0-dev, `server-task.cpp`)."""

import json
from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]
Cut = Callable[[str], list[str]]
_DELTAS = {"text": "text_delta", "thinking": "thinking_delta"}


def message_events(message: Fields, cut: Cut) -> list[Fields]:
    """`cut`: a text in pieces."""
    usage = message["usage"] | {"output_tokens": 0}
    begun = message | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    events: list[Fields] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(message["content"]):
        kind = block["type"]
        if kind == "tool_use":
            opened = {"type": kind, "id": block["id"], "name": block["name"]}
            said = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
            pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in cut(said)]
        else:
            opened = {"type": kind, kind: ""}
            pieces = [{"type": _DELTAS[kind], kind: piece} for piece in cut(block[kind])]
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        events += [{"type": "content_block_delta", "index": index, "delta": piece} for piece in pieces]
    for index, block in enumerate(message["content"]):  # all are closed at the end
        if block["type"] == "thinking":
            signed = {"type": "signature_delta", "signature": ""}
            events.append({"type": "content_block_delta", "index": index, "delta": signed})
        events.append({"type": "content_block_stop", "index": index})
    ends = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    told = {"output_tokens": message["usage"]["output_tokens"]}
    return [*events, {"type": "message_delta", "delta": ends, "usage": told}, {"type": "message_stop"}]


def response_events(response: Fields, cut: Cut) -> list[Fields]:
    """The same of a response: its last event has all of it but for a few fields."""
    begun = {"id": response["id"], "object": "response", "status": "in_progress"}
    events: list[Fields] = [{"type": f"response.{how}", "response": begun} for how in ("created", "in_progress")]
    for item in response["output"]:
        events.append({"type": "response.output_item.added", "item": item | {"status": "in_progress"}})
        for part in item.get("content", ()):
            kind = "reasoning_text" if item["type"] == "reasoning" else "output_text"
            events += [
                {"type": f"response.{kind}.delta", "item_id": item["id"], "delta": piece} for piece in cut(part["text"])
            ]
        if item["type"] == "function_call":
            events += [
                {"type": "response.function_call_arguments.delta", "item_id": item["id"], "delta": piece}
                for piece in cut(item["arguments"])
            ]
    done = [_without_status(item) if item["type"] == "reasoning" else item for item in response["output"]]
    events += [{"type": "response.output_item.done", "item": item} for item in done]
    last = {name: value for name, value in response.items() if name != "completed_at"} | {"output": done}
    return [*events, {"type": "response.completed", "response": last, "timings": {"cache_n": 1, "prompt_n": 1}}]


def written(events: list[Fields]) -> bytes:
    """As they go over the wire: no `[DONE]`."""
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode() for event in events
    )


def _without_status(item: Fields) -> Fields:
    return {name: value for name, value in item.items() if name != "status"}
