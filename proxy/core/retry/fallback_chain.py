"""Which other models and pools may serve a request instead of refusing it.

Owns the order (the fallback of its class, then that of its model, then that of the model it fell back to, and so on)
and that it ends. When a way is taken is `fallback`'s business.
"""

from collections.abc import Callable, Iterable, Iterator

from proxy.model.classes import ClassSettings
from proxy.model.fallback import MAX_WAYS, FallbackSettings, FallbackStep, ModelSettings, printable
from proxy.model.rules import NOT_POOL_LABEL, POOL_LABEL

Spellings = Callable[[str], tuple[str, ...]]


def no_others(_: str) -> tuple[str, ...]:
    """Every model has one name."""
    return ()


class FallbackChain:
    """Read once from the configuration."""

    def __init__(self, classes: Iterable[ClassSettings] = (), models: Iterable[ModelSettings] = ()) -> None:
        self._by_class = {entry.name: entry.fallback for entry in classes if entry.fallback.exists}
        self._by_model = {entry.name: entry.fallback for entry in models if entry.fallback.exists}

    def of(
        self, model: str, traffic_class: str, require: frozenset[str], renamable: bool, also: Spellings = no_others
    ) -> tuple[FallbackStep, ...]:
        """First the way as it was asked for, then the others; nothing where there are no others. `renamable`: the
        model can be replaced in its body; `also`: other spellings of a model."""
        if not self._by_class and not self._by_model:
            return ()
        found: list[FallbackStep] = []
        kept: set[str] = set()
        for settings, other in self._settings(model, traffic_class, also):
            way = _way(settings, other, model, require)
            if way.model == model and settings.pool is not None:
                kept.add(NOT_POOL_LABEL + settings.pool)
            elif way.model != model and not renamable:
                continue
            if not any(way.model == other.model and way.require == other.require for other in found):
                found.append(way)
        confined = any(label.startswith(POOL_LABEL) for label in require)
        first = FallbackStep(model, require if confined else require | kept, "")
        others = [way for way in found if way.model != model or way.require != require]
        return (first, *others[:MAX_WAYS]) if others else ()

    def _settings(
        self, model: str, traffic_class: str, also: Spellings
    ) -> Iterator[tuple[FallbackSettings, str | None]]:
        """Each, with one of its models (None: the same one), breadth first."""
        of_class = self._by_class.get(traffic_class)
        if of_class is not None:
            yield from _each(of_class)
        asked, at = [model], 0
        while at < len(asked) and at <= MAX_WAYS:
            settings = self._of_model(asked[at], also)
            at += 1
            if settings is not None:
                yield from _each(settings)
                asked += [name for name in settings.names if name not in asked]

    def _of_model(self, model: str, also: Spellings) -> FallbackSettings | None:
        found = self._by_model.get(model)
        if found is not None or not self._by_model:
            return found
        return next((self._by_model[name] for name in also(model) if name in self._by_model), None)


def where_it_was(model: str, before: str, require: frozenset[str]) -> tuple[FallbackStep, ...]:
    """The ways of a request that goes on from what another model, `before`, made on a backend that is required: that
    model goes on where the backend does not serve the one that is asked for. A fallback brought it there."""
    if before == model:
        return ()
    return FallbackStep(model, require, ""), FallbackStep(before, require, f"model:{printable(before)}", frozenset())


def _each(settings: FallbackSettings) -> Iterator[tuple[FallbackSettings, str | None]]:
    for name in settings.names or (None,):
        yield settings, name


def _way(settings: FallbackSettings, other: str | None, model: str, require: frozenset[str]) -> FallbackStep:
    labels = frozenset(label for label in require if not label.startswith((POOL_LABEL, NOT_POOL_LABEL)))
    said = []
    if other is not None:
        said.append(f"model:{printable(other)}")
    if settings.pool is not None:
        said.append(f"pool:{settings.pool}")
        labels |= {POOL_LABEL + settings.pool}
    return FallbackStep(other or model, labels, ",".join(said), frozenset(settings.on))
