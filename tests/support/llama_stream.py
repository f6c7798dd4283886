"""What llama-server would have streamed of an answer that it gives in one piece, after its source (0.5.0-dev)."""

import json
from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]
Cut = Callable[[str], list[str]]


def chat_events(answer: Fields, cut: Cut) -> list[Fields]:
    """`cut`: a text in pieces."""
    base = {name: answer[name] for name in ("created", "id", "model", "system_fingerprint")}
    base["object"] = "chat.completion.chunk"
    events: list[Fields] = []

    def says(index: int, delta: Fields, reason: str | None = None) -> None:
        events.append({"choices": [{"finish_reason": reason, "index": index, "delta": delta}], **base})

    for choice in answer["choices"]:
        index, message = choice["index"], choice["message"]
        says(index, {"role": "assistant", "content": None})
        for name in ("reasoning_content", "content"):
            for piece in cut(message.get(name, "")):
                says(index, {name: piece})
        for number, call in enumerate(message.get("tool_calls", ())):
            opening: Fields = {"index": number, "function": {"name": call["function"]["name"]}}
            if "id" in call:
                opening |= {"id": call["id"], "type": "function"}
            says(index, {"tool_calls": [opening]})
            for piece in cut(call["function"]["arguments"]):
                says(index, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        says(index, {}, choice["finish_reason"])
        counts = {name: answer[name] for name in ("usage", "timings")}
        if index:  # each text counts itself
            counts["usage"] = {**counts["usage"], "completion_tokens": 1 + index}
            counts["timings"] = {**counts["timings"], "predicted_n": 1 + index}
        events.append({"choices": [], **base, **counts})
    return events


def text_events(answer: Fields, cut: Cut) -> list[Fields]:
    """The same of a text completion."""
    base = {name: answer[name] for name in ("created", "id", "model", "system_fingerprint", "object")}
    choice = answer["choices"][0]
    pieces = ({**choice, "text": piece, "finish_reason": None} for piece in cut(choice["text"]))
    events = [{"choices": [piece], **base} for piece in pieces]
    last = {**base, "usage": answer["usage"], "timings": answer["timings"]}
    return [*events, {"choices": [{**choice, "text": ""}], **last}]


def written(events: list[Fields]) -> bytes:
    """As they go over the wire."""
    return b"".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode() for event in events) + DONE


DONE = b"data: [DONE]\n\n"
