"""Which other models and pools may serve a request instead of refusing it.

Owns the order (the fallback of its class, then that of its model, then that of the model it fell back to, and so on)
and that it ends. When a way is taken is `fallback`'s business.
"""

from collections.abc import Iterable, Iterator

from proxy.model.classes import ClassSettings
from proxy.model.fallback import MAX_WAYS, FallbackSettings, ModelSettings, Way, printable
from proxy.model.rules import NOT_POOL_LABEL, POOL_LABEL


class Ways:
    """Read once from the configuration."""

    def __init__(self, classes: Iterable[ClassSettings] = (), models: Iterable[ModelSettings] = ()) -> None:
        self._by_class = {entry.name: entry.fallback for entry in classes if entry.fallback.exists}
        self._by_model = {entry.name: entry.fallback for entry in models if entry.fallback.exists}

    def of(self, model: str, traffic_class: str, require: frozenset[str], renamable: bool) -> tuple[Way, ...]:
        """First the way as it was asked for, then the others; nothing where there are no others. `renamable`: the
        model can be replaced in its body."""
        if not self._by_class and not self._by_model:
            return ()
        found: list[Way] = []
        kept: set[str] = set()
        for settings in self._settings(model, traffic_class):
            way = _way(settings, model, require)
            if way.model == model and settings.pool is not None:
                kept.add(NOT_POOL_LABEL + settings.pool)
            elif way.model != model and not renamable:
                continue
            if not any(way.model == other.model and way.require == other.require for other in found):
                found.append(way)
        confined = any(label.startswith(POOL_LABEL) for label in require)
        first = Way(model, require if confined else require | kept, "")
        others = [way for way in found if way.model != model or way.require != require]
        return (first, *others[:MAX_WAYS]) if others else ()

    def _settings(self, model: str, traffic_class: str) -> Iterator[FallbackSettings]:
        of_class = self._by_class.get(traffic_class)
        if of_class is not None:
            yield of_class
        at: str | None = model
        for _ in range(MAX_WAYS):
            settings = None if at is None else self._by_model.get(at)
            if settings is None:
                return
            yield settings
            at = settings.model


def _way(settings: FallbackSettings, model: str, require: frozenset[str]) -> Way:
    labels = frozenset(label for label in require if not label.startswith((POOL_LABEL, NOT_POOL_LABEL)))
    said = []
    if settings.model is not None:
        said.append(f"model:{printable(settings.model)}")
    if settings.pool is not None:
        said.append(f"pool:{settings.pool}")
        labels |= {POOL_LABEL + settings.pool}
    return Way(settings.model or model, labels, ",".join(said))
