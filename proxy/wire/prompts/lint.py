"""Prefix lint: where requests with the same prompt stop sharing it, so that an engine's prefix cache misses.

    request ─▶ gate: the first of its kind, then one in many ─▶ the prompt it is a version of ─▶ where the two part

Owns whose prompts are looked at and what is remembered: of each prompt the newest text (`stable_part`, in memory only)
and smoothed numbers. Told are offsets, sizes and classes, never a text. A prompt is known again by its lines, wherever
one of them changes. Bounded by count; pure.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from proxy.wire.prompts.breaks import Break, BreakKind, broken
from proxy.wire.prompts.stable_part import TOOLS, StablePart, rough_size, stable_part

FIRST: Final = 16
"""Requests of one kind that are all looked at, …"""
ONE_IN: Final = 128
"""…and of the later ones one in so many."""
MAX_GATES: Final = 1024
MAX_PROMPTS: Final = 256
"""Remembered prompts: 8 MiB with the longest texts."""
_OF_ONE: Final = 8
"""Prompts that one tenant has of one model."""
_SIZE_STEP: Final = 256
LEAST: Final = 128
"""Characters of a prompt that is worth a look."""
_ALIKE: Final = 0.5
"""Share of a prompt that has to be there again to call it the same."""
_WEIGHT: Final = 1 / 16
_OFTEN: Final = 0.2
"""Share of requests that part from the one before, from which on it is told."""
_TWICE: Final = 2
BLOCK_TOKENS: Final = 16
_BYTES_PER_TOKEN: Final = 4
_BLOCK_B: Final = BLOCK_TOKENS * _BYTES_PER_TOKEN


class PrefixFinding(NamedTuple):
    """What is told of one prompt. Tokens are estimated, of one request."""

    tenant: str
    model: str
    prompt: str
    """Name and version, or a number where it has none."""
    part: str
    byte: int
    """Of the part, where the value that changes begins; counted from 0."""
    line: int
    """Counted from 1."""
    kind: str
    tokens: float
    reused: float
    saved: float
    """That would be found too if what changes came last."""
    looked_at: int
    changed: int
    """Of those that were looked at."""

    def sentence(self) -> str:
        """For people."""
        share = 100 * self.reused / self.tokens if self.tokens else 0.0
        whose = "tenant " + (self.tenant or "none") + ("" if self.prompt.startswith("#") else f", prompt {self.prompt}")
        return (
            f"{whose}: {self.part} changes at byte {self.byte} ({self.kind}): {share:.0f} % of {self.tokens:,.0f} "
            f"tokens reused; moving it to the end would save about {self.saved:,.0f} prefill tokens per request "
            f"(model {self.model}, line {self.line}, {self.changed} of {self.looked_at} requests looked at)"
        )


class _Prompt:
    """One prompt of one tenant, in its newest version."""

    __slots__ = (
        "_known",
        "at",
        "changed",
        "kind",
        "line",
        "looked_at",
        "name",
        "often",
        "part",
        "reused",
        "saved",
        "text",
        "tokens",
        "whose",
    )

    def __init__(self, whose: tuple[str, str], name: str, part: StablePart) -> None:
        self.whose = whose
        """Tenant and model."""
        self.name = name
        self.text = part.data
        self._known: frozenset[bytes] | None = None
        self.part = part.name
        self.at = self.line = 0
        self.kind = BreakKind.OTHER
        self.looked_at = 1
        self.changed = 0
        self.often = self.reused = self.saved = 0.0
        self.tokens = len(part.data) / _BYTES_PER_TOKEN

    def lines(self) -> frozenset[bytes]:
        """Of the text."""
        known = self._known
        if known is None:
            known = self._known = frozenset(self.text.split(b"\n"))
        return known

    def take(self, part: StablePart, shared_b: int, saved_b: int) -> None:
        """The newest version shares so many bytes at its front, and has so many more behind what changed."""
        self.looked_at += 1
        weight = max(_WEIGHT, 1.0 / (self.looked_at - 1))
        parts = shared_b < min(len(self.text), len(part.data))
        self.often += weight * ((1.0 if parts else 0.0) - self.often)
        self.tokens += weight * (len(part.data) / _BYTES_PER_TOKEN - self.tokens)
        self.reused += weight * (shared_b // _BLOCK_B * BLOCK_TOKENS - self.reused)
        self.saved += weight * ((saved_b // _BLOCK_B * BLOCK_TOKENS if parts else 0) - self.saved)
        if parts:
            self.changed += 1
            self._locate(part, shared_b)
        self.text, self._known = part.data, None

    def _locate(self, part: StablePart, at: int) -> None:
        line_at = part.data.rfind(b"\n", 0, at) + 1
        found = _break(self.text, part.data, line_at, at)
        in_tools = at < part.tools_b
        begins = 0 if in_tools else part.tools_b
        self.part = TOOLS if in_tools else part.name
        self.at = max(0, line_at + found.at - begins)
        self.line = part.data.count(b"\n", begins, line_at) + 1
        self.kind = found.kind

    def finding(self) -> PrefixFinding | None:
        """None while there is nothing worth telling."""
        if self.changed < _TWICE or self.often < _OFTEN or self.saved < 1.0:
            return None
        tenant, model = self.whose
        return PrefixFinding(
            tenant,
            model,
            self.name,
            self.part,
            self.at,
            self.line,
            self.kind.value,
            self.tokens,
            self.reused,
            self.saved,
            self.looked_at,
            self.changed,
        )


class PrefixLint:
    """One per proxy."""

    def __init__(self) -> None:
        self._gates: dict[tuple[str, str, int], int] = {}
        """Tenant, model and rough size → requests seen."""
        self._prompts: dict[tuple[str, str], list[_Prompt]] = {}
        """Tenant and model → theirs, the one used last first."""
        self._count = 0
        self._number = 0
        self.seen = self.looked_at = 0
        """Requests, and those that were looked at."""

    def saw(self, tenant: str, model: str, prompt: str, fields: Mapping[str, Any]) -> None:
        """A request. `prompt`: its name and version; empty: it has none."""
        self.seen += 1
        size = rough_size(fields)
        if size < LEAST and "tools" not in fields:
            return
        key = (tenant, model, size // _SIZE_STEP)
        count = self._gates.get(key, 0)
        if not count and len(self._gates) >= MAX_GATES:
            del self._gates[next(iter(self._gates))]
        self._gates[key] = count + 1
        if count < FIRST or not count % ONE_IN:
            self._look(tenant, model, prompt, stable_part(fields))

    def findings(self) -> list[PrefixFinding]:
        """What costs most first."""
        found = [one for prompts in self._prompts.values() for prompt in prompts if (one := prompt.finding())]
        return sorted(found, key=_saved, reverse=True)

    def report(self) -> dict[str, Any]:
        """All of it as JSON takes it; `says` is for people."""
        found = [{"says": one.sentence(), **one._asdict()} for one in self.findings()]
        return {"requests": self.seen, "looked_at": self.looked_at, "findings": found}

    def _look(self, tenant: str, model: str, name: str, part: StablePart) -> None:
        if not part.data:
            return
        self.looked_at += 1
        whose = (tenant, model)
        prompts = self._prompts.get(whose)
        if prompts is None:
            prompts = self._prompts[whose] = []
        for index, prompt in enumerate(prompts):
            shared_b, saved_b = _compared(prompt, part.data)
            if (name and name == prompt.name) or shared_b + saved_b >= _ALIKE * max(len(prompt.text), len(part.data)):
                prompt.take(part, shared_b, saved_b)
                if index:
                    prompts.insert(0, prompts.pop(index))
                return
        self._number += 1
        prompts.insert(0, _Prompt(whose, name or f"#{self._number}", part))
        self._count += 1
        self._forget(whose)

    def _forget(self, newest: tuple[str, str]) -> None:
        prompts = self._prompts[newest]
        if len(prompts) > _OF_ONE:
            prompts.pop()
            self._count -= 1
        while self._count > MAX_PROMPTS:
            oldest = next(iter(self._prompts))
            self._count -= len(self._prompts.pop(oldest))


def _saved(finding: PrefixFinding) -> float:
    return finding.saved


def _compared(prompt: _Prompt, new: bytes) -> tuple[int, int]:
    """Bytes that both have at their front, and those of `new` behind the first difference that the old one has too."""
    old = prompt.text
    shared_b = _shared_front(old, new)
    if shared_b >= min(len(old), len(new)):
        return shared_b, 0
    known, following = prompt.lines(), new.find(b"\n", shared_b) + 1
    lines_b = 0
    if following:
        for line in new[following:].split(b"\n"):
            if line in known:
                lines_b += len(line) + 1
    return shared_b, min(len(new) - shared_b, max(lines_b, _shared_back(old, new, shared_b)))


def _shared_front(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) >> 1
        if one.startswith(other[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def _shared_back(one: bytes, other: bytes, front: int) -> int:
    low, high = 0, min(len(one), len(other)) - front
    while low < high:
        middle = (low + high + 1) >> 1
        if one.endswith(other[len(other) - middle :]):
            low = middle
        else:
            high = middle - 1
    return low


def _break(old: bytes, new: bytes, line_at: int, at: int) -> Break:
    return broken(_line(old, line_at, at), _line(new, line_at, at), at - line_at)


def _line(text: bytes, start: int, at: int) -> bytes:
    end = text.find(b"\n", at)
    return text[start : end if end >= 0 else len(text)]
