"""The versions that are part of every key: one that grows makes all that was kept before it unreachable, at once.

Owns the epochs (of everything, of a model, of a prompt) and the revisions of models, configured or as their engines
tell them. Nothing is looked for and nothing is removed when one changes: older entries age out.
"""

from collections.abc import Mapping
from typing import Final

_MAX_STAMPS: Final = 4096
"""Of models and of told fingerprints: names come from requests."""
MAX_NAMED: Final = 4096
"""Models and prompts with an epoch of their own; one more bump then counts for everything."""
EVERYTHING: Final = ""
_MODEL: Final = "m:"
_PROMPT: Final = "p:"


class Epoch:
    """How often something was invalidated: as all proxies know, and what only this one knows."""

    __slots__ = ("own", "shared")

    def __init__(self) -> None:
        self.shared = 0
        self.own = 0


def epoch_name(model: str, prompt: str) -> str:
    """What an epoch is called; without model and prompt that of everything."""
    return _MODEL + model if model else _PROMPT + prompt if prompt else EVERYTHING


class Versions:
    """`epoch`: what the configuration calls the state of things; `revisions`: of models, which go before what engines
    tell."""

    def __init__(self, epoch: str = "", revisions: Mapping[str, str] | None = None) -> None:
        self._epoch = epoch
        self._configured = dict(revisions or {})
        self._epochs: dict[str, Epoch] = {}
        self._told: dict[str, dict[str, str]] = {}
        """Model → backend → what it says."""
        self._fingerprints: dict[str, dict[str, str]] = {}
        """Model → backend → what its last answer said of the engine that made it."""
        self._stamps: dict[tuple[str, str], bytes] = {}
        """Made once; forgotten whenever anything changes."""
        self.bumps = 0
        """By people, here."""
        self.generation = 0
        """Grows with every change: what was asked before one is not the answer after it."""

    def configure(self, epoch: str, revisions: Mapping[str, str]) -> None:
        """As another configuration has it: where that differs, what was kept before is void."""
        if epoch != self._epoch or dict(revisions) != self._configured:
            self._epoch, self._configured = epoch, dict(revisions)
            self._changed()

    def forget(self, backend: str) -> None:
        """Nobody asks it any more."""
        for told in (self._told, self._fingerprints):
            for by in told.values():
                by.pop(backend, None)
        self._changed()

    def stamp(self, model: str, prompt: str = "") -> bytes:
        """All that an answer depends on beside its request."""
        stamp = self._stamps.get((model, prompt))
        if stamp is None:
            if len(self._stamps) >= _MAX_STAMPS:
                self._stamps.clear()
            stamp = self._stamps[model, prompt] = self._stamp(model, prompt)
        return stamp

    def bump(self, model: str = "", prompt: str = "") -> str:
        """Everything kept for it is void: for a model, a prompt, or all. The name of the epoch."""
        name = epoch_name(model, prompt)
        if name not in self._epochs and len(self._epochs) >= MAX_NAMED:
            name = EVERYTHING
        self._epochs.setdefault(name, Epoch()).own += 1
        self.bumps += 1
        self._changed()
        return name

    def shared(self, counts: Mapping[str, int]) -> None:
        """What all proxies together have counted."""
        for name, count in counts.items():
            known = self._epochs.get(name)
            if known is None:
                if len(self._epochs) >= MAX_NAMED:
                    continue
                known = self._epochs[name] = Epoch()
            if known.shared != count:
                known.shared = count
                self._changed()

    def unshared(self) -> dict[str, int]:
        """Bumps of this proxy that the others do not know of yet."""
        return {name: epoch.own for name, epoch in self._epochs.items() if epoch.own}

    def told_others(self, name: str, bumps: int, count: int) -> None:
        """So many of them are part of the common count now."""
        epoch = self._epochs[name]
        epoch.own -= bumps
        epoch.shared = count
        self._stamps.clear()

    def told(self, backend: str, revisions: Mapping[str, str]) -> None:
        """What a backend says of the models that it lists now."""
        for model in [model for model, by in self._told.items() if backend in by and model not in revisions]:
            del self._told[model][backend]
            self._changed()
        for model, revision in revisions.items():
            by = self._told.setdefault(model, {})
            if by.get(backend) != revision:
                by[backend] = revision
                self._changed()

    def answered(self, backend: str, model: str, fingerprint: str) -> None:
        """What an answer says of the engine that made it."""
        if model not in self._fingerprints and len(self._fingerprints) >= _MAX_STAMPS:
            self._fingerprints.clear()
        self._fingerprints.setdefault(model, {})[backend] = fingerprint

    def is_current(self, model: str, fingerprint: str) -> bool:
        """Whether an engine of this model still says that of itself, as far as is known. No part of the key: another
        proxy may not have heard it yet."""
        known = self._fingerprints.get(model)
        return not known or not fingerprint or model in self._configured or fingerprint in known.values()

    def revision(self, model: str) -> str:
        """Of a model: as configured, else of all that its backends say; empty: nobody says anything."""
        configured = self._configured.get(model)
        if configured is not None:
            return configured
        return ",".join(sorted({text for text in self._told.get(model, {}).values() if text}))

    def count(self, model: str = "", prompt: str = "") -> int:
        """How often it was invalidated."""
        epoch = self._epochs.get(epoch_name(model, prompt))
        return 0 if epoch is None else epoch.shared + epoch.own

    def _changed(self) -> None:
        self._stamps.clear()
        self.generation += 1

    def _stamp(self, model: str, prompt: str) -> bytes:
        parts = [self._epoch, model, self.revision(model), prompt]
        for name in (EVERYTHING, _MODEL + model, _PROMPT + prompt.partition("@")[0], _PROMPT + prompt):
            epoch = self._epochs.get(name)
            parts.append("0.0" if epoch is None else f"{epoch.shared}.{epoch.own}")
        return "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")
