"""Fallbacks that lead nowhere: to what nobody serves, to themselves, or round in a circle.

Owns the comparison of fallbacks with backends and with each other; when one is taken is the scheduler's business.
"""

from collections.abc import Iterator, Mapping, Sequence

from proxy.config.backend import BackendOptions, served_names
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.refusal import quoted, which_there_are
from proxy.model.classes import ClassSettings
from proxy.model.fallback import FallbackSettings, ModelSettings


def fallback_findings(
    classes: Sequence[ClassSettings], models: Sequence[ModelSettings], backends: Mapping[int, BackendOptions]
) -> Iterator[Finding]:
    """What is wrong with the fallbacks of classes and of models."""
    for index, entry in enumerate(classes):
        yield from _targets(("classes", index, "fallback"), entry.fallback, backends)
    by_model = {entry.name: entry.fallback for entry in models}
    served = served_names(backends) if backends else None
    for index, model in enumerate(models):
        path: OptionPath = ("routing", "models", index, "fallback")
        if served is not None and model.name not in served:
            yield _unserved(("routing", "models", index, "name"), model, served)
        yield from _targets(path, model.fallback, backends)
        circle = _circle(model.name, by_model)
        if circle:
            yield Finding((*path, "model"), f"leads back to where it began: {circle}", "end the chain somewhere")


def _targets(path: OptionPath, settings: FallbackSettings, backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    pools = {backend.pool for backend in backends.values()}
    if settings.pool is not None and pools and settings.pool not in pools:
        message = f"no backend is in the pool {quoted(settings.pool)}"
        yield Finding((*path, "pool"), message, which_there_are(settings.pool, pools))
        return
    if settings.pool is not None and not settings.names and pools == {settings.pool}:
        message = f"every backend is in the pool {quoted(settings.pool)}: kept for this, it leaves none to go to first"
        yield Finding((*path, "pool"), message, "name a pool that is not the first choice", Severity.WARNING)
    there = {i: b for i, b in backends.items() if settings.pool is None or b.pool == settings.pool}
    names = served_names(there) if there else None
    if names is None:
        return
    where = "" if settings.pool is None else f" of the pool {quoted(settings.pool)}"
    for option, model in _written(settings):
        if model not in names:
            yield Finding((*path, *option), f"no backend{where} serves {quoted(model)}", which_there_are(model, names))


def _written(settings: FallbackSettings) -> Iterator[tuple[OptionPath, str]]:
    """Each model, and where it stands."""
    if settings.model is not None:
        yield ("model",), settings.model
    for place, model in enumerate(settings.models):
        yield ("models", place), model


def _unserved(path: OptionPath, model: ModelSettings, served: set[str]) -> Finding:
    then = "is answered by its fallback alone" if model.fallback.names else "cannot be had"
    message = f"no backend serves {quoted(model.name)}: it {then}"
    return Finding(path, message, which_there_are(model.name, served), Severity.WARNING)


def _circle(name: str, by_model: Mapping[str, FallbackSettings]) -> str:
    """`a -> b -> a`, when following the fallbacks of `name` comes back to it; else nothing."""
    chain = [name]
    for _ in by_model:
        settings = by_model.get(chain[-1])
        if settings is None or not settings.names:
            return ""
        chain.append(settings.names[0])
        if settings.names[0] == name:
            return " -> ".join(quoted(model) for model in chain)
    return ""


def kept_pools(classes: Sequence[ClassSettings], models: Sequence[ModelSettings]) -> frozenset[str]:
    """The pools that something falls back to."""
    fallbacks = [*(entry.fallback for entry in classes), *(entry.fallback for entry in models)]
    return frozenset(fallback.pool for fallback in fallbacks if fallback.pool is not None)
