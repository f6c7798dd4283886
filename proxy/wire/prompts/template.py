"""A named prompt in one version: texts with `{{variables}}`, put together with the values of a request.

Owns how variables are written and filled in: a value is text, whatever it holds. Sections of the system's text without
variables come first (unless written otherwise): what all requests share must stand at the front to be computed once.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from proxy.model.prompts import FirstAnswer
from proxy.wire.body import invalid

MOST_B: Final = 4 << 20
"""Characters of all texts with their variables filled in."""
_MARK: Final = re.compile(r"\\\{\{|\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,63})?([^{}]*?)\s*\}\}|\{\{")
_PARAM: Final = "prompt.variables"

Values = Mapping[str, str]


class Text(NamedTuple):
    """Text and names of variables in turns, text first."""

    pieces: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of its variables, as often as they stand there."""
        return self.pieces[1::2]

    def filled(self, values: Values) -> str:
        """With a value for each name."""
        parts = list(self.pieces)
        parts[1::2] = [values[name] for name in self.names]
        return "".join(parts)


def text_with_variables(written: str) -> Text:
    """Reads `{{ name }}`; `\\{{` is two braces. ValueError for braces that are neither."""
    pieces: list[str] = [""]
    done = 0
    for mark in _MARK.finditer(written):
        pieces[-1] += written[done : mark.start()]
        done = mark.end()
        name, rest = mark.group(1), mark.group(2)
        if mark.group().startswith("\\"):
            pieces[-1] += "{{"
        elif name is None or rest:
            line = written.count("\n", 0, mark.start()) + 1
            raise ValueError(
                f"line {line}: {{{{ must be followed by the name of a variable and }}}}; write \\{{{{ for text"
            )
        else:
            pieces += (name, "")
    pieces[-1] += written[done:]
    return Text(tuple(pieces))


def in_order(written: str, *, stable_first: bool) -> Text:
    """A system text; `stable_first`: its sections (between blank lines) without variables go before those with."""
    if not stable_first:
        return text_with_variables(written)
    sections = [text_with_variables(section) for section in re.split(r"\n[ \t]*\n", written.strip("\n"))]
    ordered = sorted(sections, key=_changes)
    pieces: list[str] = [""]
    for number, section in enumerate(ordered):
        pieces[-1] += ("\n\n" if number else "") + section.pieces[0]
        pieces += section.pieces[1:]
    return Text(tuple(pieces))


def _changes(text: Text) -> bool:
    return len(text.pieces) > 1


class Example(NamedTuple):
    """A message that stands in front of the conversation."""

    role: str
    content: Text


class Filled(NamedTuple):
    """A prompt for one request."""

    system: str
    messages: list[dict[str, str]]
    tools: tuple[bytes, ...]
    """As JSON."""


class Template:
    """One version of one prompt. Compared by identity."""

    __slots__ = ("_examples", "_fixed", "_system", "first", "history", "label", "name", "tools", "variables")

    def __init__(
        self,
        name: str,
        version: str,
        system: Text,
        examples: Sequence[Example] = (),
        tools: Sequence[bytes] = (),
        history: int | None = None,
        first: FirstAnswer | None = None,
    ) -> None:
        self.name = name
        self.label = f"{name}@{version}"
        self._system = system
        self._examples = tuple(examples)
        self.tools = tuple(tools)
        self.history = history
        """Most tokens of a conversation, estimated; None: all of it."""
        self.first = first
        """The rule for its first answers; None: that of the class."""
        texts = (system, *(example.content for example in self._examples))
        self.variables = tuple(dict.fromkeys(name for text in texts for name in text.names))
        self._fixed = sum(len(piece) for text in texts for piece in text.pieces[::2])

    def filled(self, given: Mapping[str, Any]) -> Filled:
        """With the variables of a request. A 400 that names what is missing, or what no text can be made of."""
        values = {name: self._value(name, given) for name in self.variables}
        texts = (self._system, *(example.content for example in self._examples))
        if self._fixed + sum(len(values[name]) for text in texts for name in text.names) > MOST_B:
            raise invalid(f"The prompt {self.label} is longer than {MOST_B} characters with these variables.", _PARAM)
        messages = [{"role": example.role, "content": example.content.filled(values)} for example in self._examples]
        return Filled(self._system.filled(values), messages, self.tools)

    def stable(self) -> Filled:
        """The part of it that all requests share: up to the first variable."""
        messages: list[dict[str, str]] = []
        if len(self._system.pieces) == 1:
            for example in self._examples:
                if len(example.content.pieces) > 1:
                    break
                messages.append({"role": example.role, "content": example.content.pieces[0]})
        return Filled(self._system.pieces[0], messages, self.tools)

    def _value(self, name: str, given: Mapping[str, Any]) -> str:
        value = given.get(name)
        if isinstance(value, dict) and isinstance(value.get("text"), str):  # as the Responses API writes text
            value = value["text"]
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        said = "needs the variable" if value is None else "takes text or a number as its variable"
        raise invalid(f"The prompt {self.label} {said} `{name}`.", f"{_PARAM}.{name}")
