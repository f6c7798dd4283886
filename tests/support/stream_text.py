"""What a client makes of a stream: every event added up, per text. The measure by which two streams are equal."""

import json
from typing import Any

from proxy.wire import sse


def events_of(body: bytes) -> list[bytes]:
    """The events of an SSE body as the proxy sees them: whole, clean, without comments and `[DONE]`."""
    found = [sse.cleaned(event) for event in sse.EventSplitter(1 << 20).feed(body)]
    return [event for event in found if payload(event) is not None]


def payload(event: bytes) -> dict[str, Any] | None:
    """The JSON object of an event, None when it is none."""
    data = b"".join(line[5:] for line in event.split(b"\n") if line.startswith(b"data:"))
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def whole(text: str) -> str:
    """Text as UTF-16 sees it: a pair of surrogates that met is one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass") if text else text


class Heard:
    """All events of one stream added up as the official clients do."""

    def __init__(self, events: list[bytes]) -> None:
        self.texts: dict[Any, str] = {}
        self.once: dict[Any, list[Any]] = {}
        self.lists: dict[Any, list[Any]] = {}
        self.envelopes: set[str] = set()
        self.sequence: list[int] = []
        for event in events:
            fields = payload(event)
            assert fields is not None, event
            self._hear(fields)

    def same_as(self, other: "Heard") -> bool:
        """Whether a client ends with the same text, calls, reasons, lists and last usage."""
        mine, theirs = (
            (
                {key: whole(text) for key, text in heard.texts.items() if text},
                {key: found[-1:] if key[0] == "usage" else found for key, found in heard.once.items()},
                {key: found for key, found in heard.lists.items() if found},
                heard.envelopes,
            )
            for heard in (self, other)
        )
        assert mine == theirs
        return True

    def _hear(self, fields: dict[str, Any]) -> None:
        if type(fields.get("sequence_number")) is int:
            self.sequence.append(fields["sequence_number"])
        if isinstance(fields.get("choices"), list):
            self.envelopes.add(json.dumps({name: fields.get(name) for name in ("id", "created", "model", "unknown")}))
            for choice in fields["choices"]:
                self._hear_choice(choice)
        elif isinstance(fields.get("delta"), str):
            self._add((fields["type"], fields.get("item_id")), fields["delta"])
            self._add_lists(fields.get("item_id"), fields)
        elif isinstance(fields.get("delta"), dict):
            for name, value in fields["delta"].items():
                if isinstance(value, str) and name != "type":
                    self._add(("messages", fields.get("index"), name), value)
        else:
            self.once.setdefault(("event", fields.get("type")), []).append(
                {name: value for name, value in fields.items() if name not in ("sequence_number", "usage")}
            )
        if fields.get("usage") is not None:
            self.once.setdefault(("usage",), []).append(fields["usage"])

    def _hear_choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index")
        for name in ("finish_reason", "stop_reason"):
            if choice.get(name) is not None:
                self.once.setdefault((name, index), []).append(choice[name])
        self._add_lists(index, choice)
        if isinstance(choice.get("text"), str):
            self._add((index, "text"), choice["text"])
        delta = choice.get("delta")
        for name, value in (delta or {}).items():
            if name == "role":
                self.once.setdefault(("role", index), []).append(value)
            elif name == "tool_calls":
                for call in value or ():
                    self._hear_call(index, call)
            elif isinstance(value, str):
                self._add((index, name), value)

    def _hear_call(self, index: Any, call: dict[str, Any]) -> None:
        key = (index, "call", call.get("index"))
        function = call.get("function") or {}
        self._add((*key, "arguments"), function.get("arguments") or "")
        for name, value in (("id", call.get("id")), ("type", call.get("type")), ("name", function.get("name"))):
            if value is not None:
                self.once.setdefault((*key, name), []).append(value)

    def _add(self, key: Any, text: str) -> None:
        self.texts[key] = self.texts.get(key, "") + text

    def _add_lists(self, index: Any, holder: dict[str, Any]) -> None:
        if isinstance(holder.get("token_ids"), list):
            self.lists.setdefault((index, "token_ids"), []).extend(holder["token_ids"])
        logprobs = holder.get("logprobs")
        for name, values in (logprobs if isinstance(logprobs, dict) else {"": logprobs}).items():
            if isinstance(values, list):
                self.lists.setdefault((index, "logprobs", name), []).extend(values)
