"""Which backend serves which model name.

Owns the index from name to candidates and what to say about a name that nobody serves. Knows nothing of load.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.candidates import Candidates
from proxy.model.abilities import Traits
from proxy.model.faults import Fault, Kind, downstream, internal
from proxy.model.model_name import canonical, twin

_SHOWN_CHARS: Final = 64
_SHOWN_NAMES: Final = 5
_COMPARED_NAMES: Final = 256
"""Names looked at for a did-you-mean: an unknown model must stay cheap to refuse."""


class Catalogue:
    """Rebuilt when a backend's list changes, which is rare; asked for every request."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        self.version = 0
        """Grows with every change, so that callers can cache what they made of `models`."""
        self._backends = tuple(backends)
        self._distinct: tuple[Candidates, ...] = ()
        self._index()

    def change(self, backends: Sequence[Backend]) -> None:
        """Others are configured, or otherwise."""
        self._backends = tuple(backends)
        self.version += 1
        self._index()

    def find(self, model: str) -> Candidates | None:
        """The backends that serve `model`; None when none does."""
        found = self._by_model.get(model)
        if found is None and self._loose:
            found = self._loose.get(canonical(model))
        return self._any if found is None else found

    def listed_as(self, model: str) -> str | None:
        """The listed name that `model` stands for: itself, or one that means the same to the engines that list it."""
        if model in self._by_model:
            return model
        return self._meant.get(canonical(model)) if self._meant else None

    def also(self, model: str) -> tuple[str, ...]:
        """Other spellings of `model`, where every engine that serves it takes them for the same."""
        if not self._loose:
            return ()
        candidates = self.find(model)
        if candidates is None or not all(b.loose_names() for b in candidates.backends):
            return ()
        listed = self.listed_as(model) or model
        return tuple(name for name in dict.fromkeys((listed, twin(listed), twin(model))) if name != model)

    def models(self) -> tuple[str, ...]:
        """Every name known to be served, aliases included, sorted."""
        return self._models

    def with_label(self, label: str) -> tuple[tuple[str, ...], bool]:
        """The names that backends with this label serve, sorted, and whether all of these serve the same ones."""
        having = [b for b in self._backends if b.known and label in b.labels]
        alike = all(b.names == having[0].names for b in having)
        return tuple(sorted({name for b in having for name in b.names})), alike

    def healthy(self, most: int) -> dict[str, int]:
        """Backends that are there and healthy, by name served; of the first `most` names."""
        return {name: self._by_model[name].healthy for name in self._models[:most]}

    def candidates(self) -> tuple[Candidates, ...]:
        """All of them, each once."""
        return self._distinct

    def learn(self, backend: Backend, listed: frozenset[str] | None, traits: Traits | None = None) -> bool:
        """A backend told its model list; returns whether the index changed."""
        if not backend.learn(listed, traits):
            return False
        self.version += 1
        self._index()
        return True

    def unserved(self, model: str, retry_after_s: float) -> Fault:
        """Why `model` has no candidates."""
        silent = [b.name for b in self._backends if not b.known]
        if silent or not self._backends:
            return _nobody_yet(model, silent, retry_after_s)
        return downstream(Kind.MODEL_NOT_FOUND, self._unknown(model), param="model", code="model_not_found")

    def _unknown(self, model: str) -> str:
        shown = shown_name(model)
        near = get_close_matches(shown, self._models[:_COMPARED_NAMES], n=_SHOWN_NAMES, cutoff=0.5)
        named = ", ".join(shown_name(name) for name in near or self._models[:_SHOWN_NAMES])
        lead = "did you mean" if near else "served are for example"
        hint = f"; {lead}: {named}" if named else ""
        return f'The model "{shown}" is served by no backend{hint}. GET /v1/models lists all.'

    def _index(self) -> None:
        known = [b for b in self._backends if b.known]
        before = {candidates.backends: candidates for candidates in self._distinct}
        by_members: dict[tuple[Backend, ...], Candidates] = {}

        def candidates(members: tuple[Backend, ...]) -> Candidates:
            return by_members.setdefault(members, before.get(members) or Candidates(members))

        anyone = tuple(b for b in known if b.takes_any)
        self._models = tuple(sorted({name for b in known for name in b.names}))
        self._by_model = {name: candidates(tuple(b for b in known if b.is_meant_by(name))) for name in self._models}
        self._any = candidates(anyone) if anyone else None
        self._meant = {meant: name for b in known for meant, name in b.loose_names().items()}
        self._loose = {meant: candidates(tuple(b for b in known if b.means(meant))) for meant in self._meant}
        self._distinct = tuple(by_members.values())
        for backend in self._backends:
            backend.memberships = [c for c in self._distinct if backend in c.backends]


def shown_name(name: str) -> str:
    """At most 64 characters of a name, everything but printable ASCII replaced."""
    cut = name[:_SHOWN_CHARS]
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in cut)


def _nobody_yet(model: str, silent: Sequence[str], retry_after_s: float) -> Fault:
    more = len(silent) - _SHOWN_NAMES
    named = ", ".join(silent[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
    why = f"not answered yet, so their models are unknown: {named}" if silent else "no backend is configured"
    return internal(Kind.NO_BACKEND, f'No backend is known to serve "{shown_name(model)}"; {why}.', retry_after_s)
