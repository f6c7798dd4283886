"""As `together`, of streams of typed events: Anthropic's messages, and responses of OpenAI's API.

A message is the sum of its blocks; a response says itself at its end what it is. Sources: both API references, and
llama.cpp 0.5.0-dev (`server-task.cpp`) for what its whole answers have beside that.
"""

import json
from typing import Any, Final

from proxy.model.whole_answers import AS_OPENAI, WholeAnswers
from proxy.wire.deltas import Fields
from proxy.wire.event import Event

_BLOCKS: Final = frozenset({"text", "thinking", "tool_use"})
_PIECES: Final = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
"""Type of a delta → the field that it goes on with, under the same name in its block."""
_JSON_PIECE: Final = "input_json_delta"
_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_MOST_BLOCKS: Final = 4096


class MessageTogether:
    """One message of Anthropic's API."""

    __slots__ = ("_blocks", "_inputs", "_message", "_texts", "is_complete", "size_b")

    def __init__(self, whole: WholeAnswers = AS_OPENAI) -> None:
        self._message: Fields = {}
        self._blocks: dict[int, Fields] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}
        """Pieces by block and field."""
        self._inputs: dict[int, list[str]] = {}
        """Pieces of JSON by block."""
        self.is_complete = False
        self.size_b = 0

    @property
    def has_ended(self) -> bool:
        """Whether its last event has come."""
        return self.is_complete

    def add(self, event: Event) -> bool:
        """One more event, clean and no error; False: it is not known well enough, and nothing comes of this."""
        fields = event.fields
        if fields is None:
            return False
        self.size_b += len(event.raw)
        match fields.get("type"):
            case "message_start":
                return self._begin(fields.get("message"))
            case "content_block_start":
                return self._open(fields.get("index"), fields.get("content_block"))
            case "content_block_delta":
                return self._go_on(fields.get("index"), fields.get("delta"))
            case "message_delta":
                return self._end(fields.get("delta"), fields.get("usage"))
            case "message_stop":
                self.is_complete = bool(self._message)
                return self.is_complete
            case "content_block_stop" | "ping":
                return True
        return False

    def whole(self) -> Fields | None:
        """The answer; None: there is none, or nothing was said, which an engine may mean otherwise."""
        if not self.is_complete or not self._blocks or sorted(self._blocks) != list(range(len(self._blocks))):
            return None
        for (index, name), pieces in self._texts.items():
            self._blocks[index][name] = self._blocks[index].get(name, "") + "".join(pieces)
        for index, block in self._blocks.items():
            if block["type"] == "tool_use":
                block["input"] = _parsed("".join(self._inputs.get(index, ())))
        return {**self._message, "content": [self._blocks[index] for index in sorted(self._blocks)]}

    def _begin(self, message: Any) -> bool:
        if self._message or not isinstance(message, dict) or message.get("content") or not message.get("id"):
            return False
        self._message = dict(message)
        return True

    def _open(self, index: Any, block: Any) -> bool:
        if type(index) is not int or not 0 <= index < _MOST_BLOCKS or index in self._blocks:
            return False
        if not self._message or not isinstance(block, dict) or block.get("type") not in _BLOCKS or block.get("input"):
            return False
        self._blocks[index] = dict(block)
        return True

    def _go_on(self, index: Any, delta: Any) -> bool:
        if type(index) is not int or index not in self._blocks or not isinstance(delta, dict):
            return False
        kind = delta.get("type")
        name = "partial_json" if kind == _JSON_PIECE else _PIECES.get(str(kind), "")
        piece = delta.get(name)
        if not isinstance(piece, str):
            return False
        if kind == _JSON_PIECE:
            self._inputs.setdefault(index, []).append(piece)
        else:
            self._texts.setdefault((index, name), []).append(piece)
        return True

    def _end(self, delta: Any, usage: Any) -> bool:
        if not self._message or not isinstance(delta, dict):
            return False
        self._message |= delta
        if isinstance(usage, dict):
            self._message["usage"] = {**(self._message.get("usage") or {}), **usage}
        return True


class ResponseTogether:
    """One response."""

    __slots__ = ("_response", "_whole", "is_complete", "size_b")

    def __init__(self, whole: WholeAnswers = AS_OPENAI) -> None:
        self._whole = whole
        self._response: Fields = {}
        self.is_complete = False
        self.size_b = 0

    @property
    def has_ended(self) -> bool:
        """Whether its last event has come."""
        return self.is_complete

    def add(self, event: Event) -> bool:
        """One more event, clean and no error; False: it is not known well enough, and nothing comes of this."""
        fields = event.fields
        kind = None if fields is None else fields.get("type")
        if fields is None or not isinstance(kind, str) or not kind.startswith("response."):
            return False
        self.size_b += len(event.raw)
        if kind in _LAST:
            response = fields.get("response")
            self.is_complete = isinstance(response, dict) and isinstance(response.get("output"), list)
            self._response = response if isinstance(response, dict) else {}
            return self.is_complete
        return True

    def whole(self) -> Fields | None:
        """The answer; None: there is none, or nothing was said, which an engine may mean otherwise."""
        if not self.is_complete or not (self._response["output"] or self._response.get("error")):
            return None
        if not self._whole.dates_end:
            return self._response
        items = [
            {"status": "completed", **item} if isinstance(item, dict) else item for item in self._response["output"]
        ]
        return {"completed_at": self._response.get("created_at"), **self._response, "output": items}


def _parsed(text: str) -> Any:
    """What a tool is called with; nothing where that is no JSON, as engines have it."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
