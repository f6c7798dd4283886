"""Fields of requests that an operator wants changed, but which are not his to change, or are said twice.

Owns the comparison; what a change does is `proxy.wire.parameters`.
"""

from collections.abc import Iterator, Mapping, Sequence

from proxy.config.backend import BackendOptions
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.refusal import quoted
from proxy.model.fallback import ModelSettings
from proxy.model.parameters import RESERVED, ParameterSettings

_INSTEAD = {
    "model": "`aliases` of the backend give it another name",
    "stream": "a client that asked for one form cannot read the other",
    "stream_options": "`usage: never` of the backend keeps it as it came",
}


def parameter_findings(backends: Mapping[int, BackendOptions], models: Sequence[ModelSettings]) -> Iterator[Finding]:
    """What is wrong with the `parameters` of backends and of models."""
    for index, backend in backends.items():
        yield from _of(("backends", index, "parameters"), backend.parameters)
    for index, model in enumerate(models):
        yield from _of(("routing", "models", index, "parameters"), model.parameters)


def _of(path: OptionPath, settings: ParameterSettings) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    places: list[tuple[str, str, str | int]] = [("set", name, name) for name in settings.set]
    places += [("default", name, name) for name in settings.default]
    places += [("drop", name, index) for index, name in enumerate(settings.drop)]
    for option, name, key in places:
        if name in RESERVED:
            message = f"{quoted(name)} is what a request is routed and answered by, and is not changed"
            yield Finding((*path, option, key), message, _INSTEAD.get(name, "leave it to the client"))
        other = seen.setdefault(name, option)
        if other != option:
            yield Finding((*path, option, key), f"{quoted(name)} is in `{other}` too", "say it once")
