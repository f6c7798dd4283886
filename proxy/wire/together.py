"""Events of a stream put together to the answer in one piece that they amount to, one after the other as they come.

Owns chat and text completions; streams of typed events are for `together_typed`. A field that it does not know well
enough to put together makes it say so: such an answer is not to be had this way.
"""

from typing import Any, Final

from proxy.model.endpoint import Endpoint
from proxy.model.whole_answers import AS_OPENAI, WholeAnswers
from proxy.wire.deltas import Fields
from proxy.wire.event import Event

TEXTS: Final = ("reasoning_content", "reasoning", "content", "refusal")
OF_DELTA: Final = frozenset({"role", "tool_calls", "function_call", *TEXTS})
OBJECTS: Final = {
    Endpoint.CHAT: ("chat.completion", "chat.completion.chunk"),
    Endpoint.COMPLETIONS: ("text_completion", "text_completion"),
}
"""`object` of a whole answer, and of an event."""
_COUNTS: Final = frozenset({"usage", "timings"})
_MOST_CHOICES: Final = 4096


class Together:
    """Of one stream."""

    __slots__ = ("_answer", "_choices", "_counted_first", "_endpoint", "_last", "_whole", "size_b")

    def __init__(self, endpoint: Endpoint, whole: WholeAnswers = AS_OPENAI) -> None:
        self._endpoint = endpoint
        self._whole = whole
        self._answer: Fields = {}
        self._choices: dict[int, _Choice] = {}
        self._last = 0
        """Index of the text that ended last."""
        self._counted_first: set[str] = set()
        """Of `_COUNTS`, what is known of the first text."""
        self.size_b = 0
        """Of the events that are in it, bytes: never less than the answer takes."""

    def add(self, event: Event) -> bool:
        """One more event, clean and no error; False: it is not known well enough, and nothing comes of this."""
        fields = event.fields
        if fields is None:
            return False
        self.size_b += len(event.raw)
        choices = fields.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or not self._add(choice):
                return False
        for name, value in fields.items():
            if name == "choices" or name in self._whole.omits or (value is None and name in self._answer):
                continue
            if self._whole.counts_first and name in _COUNTS and value is not None:
                if self._last == 0:
                    self._counted_first.add(name)
                elif name in self._counted_first:
                    continue
            self._answer[name] = value
        return True

    @property
    def is_complete(self) -> bool:
        """Whether nothing more comes: its events do not say that, `[DONE]` does."""
        return False

    @property
    def has_ended(self) -> bool:
        """Whether there are texts, and each has said why it ended."""
        return bool(self._choices) and all(one.rest.get("finish_reason") for one in self._choices.values())

    def whole(self) -> Fields | None:
        """The answer so far; None: there is none."""
        if not self._choices:
            return None
        answer = {name: value for name, value in self._answer.items() if name != "usage"}
        answer["object"] = OBJECTS[self._endpoint][0]
        is_chat = self._endpoint is Endpoint.CHAT
        answer["choices"] = [self._choices[index].whole(is_chat, self._whole.blank) for index in sorted(self._choices)]
        told = self._answer.get("usage")
        return answer if told is None else {**answer, "usage": told}

    def _add(self, choice: Fields) -> bool:
        index = choice.get("index")
        if type(index) is not int or not 0 <= index < _MOST_CHOICES:
            return False
        into = self._choices.get(index)
        if into is None:
            into = self._choices[index] = _Choice(index)
        if choice.get("finish_reason"):
            self._last = index
        return into.add_delta(choice) if self._endpoint is Endpoint.CHAT else into.add_text(choice)


class _Choice:
    """One text, or one message."""

    __slots__ = ("calls", "index", "message", "rest", "texts")

    def __init__(self, index: int) -> None:
        self.index = index
        self.texts: dict[str, list[str]] = {}
        """Pieces by field, in the order in which fields came."""
        self.message: Fields = {"role": "assistant"}
        self.calls: list[Fields] = []
        self.rest: Fields = {}

    def add_text(self, choice: Fields) -> bool:
        text = choice.get("text", "")
        if not isinstance(text, str):
            return False
        self.texts.setdefault("text", []).append(text)
        self._add_rest(choice, "text")
        return True

    def add_delta(self, choice: Fields) -> bool:
        delta: Any = choice.get("delta", {})
        if not isinstance(delta, dict):
            return False
        for name, value in delta.items():
            if name in TEXTS:
                if isinstance(value, str):
                    self.texts.setdefault(name, []).append(value)
            elif value and not self._add_beside(name, value):
                return False
        self._add_rest(choice, "delta")
        return True

    def whole(self, is_chat: bool, blank: str | None) -> Fields:
        """As it is so far."""
        texts = {name: "".join(pieces) for name, pieces in self.texts.items()}
        if not is_chat:
            return {"index": self.index, "text": texts.get("text", ""), **self.rest}
        message = {"role": self.message["role"], "content": blank, **texts}
        if self.calls:
            message["tool_calls"] = self.calls
            message["content"] = message["content"] or blank
        if "function_call" in self.message:
            message["function_call"] = self.message["function_call"]
        return {"index": self.index, "message": message, **self.rest}

    def _add_beside(self, name: str, value: Any) -> bool:
        if name == "role":
            self.message[name] = value
            return True
        if name == "tool_calls":
            return self._add_calls(value)
        return name == "function_call" and _add_function(self.message.setdefault(name, {}), value)

    def _add_calls(self, calls: Any) -> bool:
        known = self.calls
        for call in calls if isinstance(calls, list) else (None,):
            if not isinstance(call, dict):
                return False
            index = call.get("index", len(known))
            if type(index) is not int or not 0 <= index <= len(known):
                return False
            if index == len(known):
                known.append({"type": "function", "function": {"arguments": ""}})
            for name, value in call.items():
                if name == "function":
                    if not _add_function(known[index]["function"], value):
                        return False
                elif name != "index" and value:
                    known[index][name] = value
        return True

    def _add_rest(self, choice: Fields, but: str) -> None:
        """What stands beside the text: lists grow, of everything else the last counts."""
        rest = self.rest
        for name, value in choice.items():
            if name in ("index", but) or (value is None and name in rest):
                continue
            before = rest.get(name)
            if isinstance(value, dict) and isinstance(before, dict):
                for inner, more in value.items():
                    old = before.get(inner)
                    before[inner] = old + more if isinstance(old, list) and isinstance(more, list) else more or old
            elif isinstance(value, list) and isinstance(before, list):
                rest[name] = before + value
            else:
                rest[name] = value
        rest.setdefault("finish_reason", None)


def _add_function(into: Any, function: Any) -> bool:
    if not isinstance(function, dict) or not isinstance(into, dict):
        return False
    for name, value in function.items():
        if name == "arguments" and isinstance(value, str):
            into[name] = into.get(name, "") + value
        elif value:
            into[name] = value
    return True
