"""The named prompts there are, and which version a request gets.

Owns the split between versions: by weight, and the same for all requests of one conversation.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from proxy.wire.body import invalid
from proxy.wire.prompts.assembly import Reference
from proxy.wire.prompts.template import Template

_CODE: Final = "prompt_not_found"


class _Versions:
    """Of one prompt."""

    __slots__ = ("known", "split", "total")

    def __init__(self) -> None:
        self.known: dict[str, Template] = {}
        self.split: list[tuple[int, Template]] = []
        """Shares, of…"""
        self.total = 0

    def drawn(self, conversation: str) -> Template:
        """The same for the same conversation."""
        digest = hashlib.blake2b(conversation.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        place = int.from_bytes(digest) % self.total
        for weight, template in self.split:
            place -= weight
            if place < 0:
                return template
        raise AssertionError("the shares are the total")


class NamedPrompts:
    """One per proxy."""

    def __init__(self, versions: Iterable[tuple[str, int, Template]]) -> None:
        """Version, weight and template of each; of every prompt some weight is above 0."""
        self._prompts: dict[str, _Versions] = {}
        for version, weight, template in versions:
            prompt = self._prompts.setdefault(template.name, _Versions())
            prompt.known[version] = template
            prompt.split.append((weight, template))
            prompt.total += weight

    def __iter__(self) -> Iterator[Template]:
        """Every version of every prompt."""
        return iter([template for prompt in self._prompts.values() for template in prompt.known.values()])

    def find(self, wanted: Reference, conversation: str) -> Template:
        """A 400 for one that there is not."""
        prompt = self._prompts.get(wanted.name)
        if prompt is None:
            raise invalid(f"There is no prompt `{wanted.name}`.", wanted.param, _CODE)
        if not wanted.version:
            return prompt.drawn(f"{wanted.name}\0{conversation}")
        template = prompt.known.get(wanted.version)
        if template is None:
            raise invalid(f"The prompt `{wanted.name}` has no version `{wanted.version}`.", wanted.param, _CODE)
        return template


def conversation(session: str, tenant: str, fields: Mapping[str, Any]) -> str:
    """What all requests of one conversation have in common: its session, or else how it begins."""
    if session:
        return f"{tenant}\0{session}"
    messages = fields.get("messages") or fields.get("input")
    first = messages[0] if isinstance(messages, list) and messages else messages
    return f"{tenant}\0{hashlib.blake2b(orjson.dumps(first), digest_size=8).hexdigest()}"
