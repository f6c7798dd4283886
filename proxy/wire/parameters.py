"""Request fields as the operator wants them: set, filled in, or taken out, spliced into the client's own bytes.

What is changed keeps its place, what is added goes behind all others, everything else stays byte for byte.
"""

from typing import Any, Final

from proxy.model.parameters import ParameterSettings
from proxy.wire import splice

CHANGES: Final = ("set", "default", "drop")


class Changed:
    """A body as the engine shall see it, and which kinds of `CHANGES` made it so."""

    __slots__ = ("body", "kinds")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.kinds: list[str] = []

    def apply(self, settings: ParameterSettings, *, generates: bool) -> None:
        """The changes that one entry of the configuration wants. `generates`: whether an answer is generated; else
        fields are only taken out."""
        before = self.body
        for name in settings.drop:
            self.body = splice.without_key(self.body, name)
        self._tell("drop", before)
        if not generates:
            return
        before = self.body
        for name, value in settings.set.items():
            self._put(name, value)
        self._tell("set", before)
        before = self.body
        for name, value in settings.default.items():
            if not splice.value_spans(self.body, name):
                self.body = splice.with_last(self.body, name, value)
        self._tell("default", before)

    def _put(self, name: str, value: Any) -> None:
        if splice.value_spans(self.body, name):
            self.body = splice.replace_value(self.body, name, value)
        else:
            self.body = splice.with_last(self.body, name, value)

    def _tell(self, kind: str, before: bytes) -> None:
        if self.body != before and kind not in self.kinds:
            self.kinds.append(kind)
