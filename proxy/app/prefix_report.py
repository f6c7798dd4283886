"""The prefix report's words on engines that keep to themselves what they found in their caches."""

from collections.abc import Mapping

from proxy.live.upstream.backends import Upstream

_SURE = 8
"""Answers after which it is no accident."""


def untold_caches(backends: Mapping[str, Upstream], silent: Mapping[str, int]) -> list[str]:
    """A sentence for each backend that needs a flag to tell it; `silent`: answers that did not, by backend."""
    return [
        f"backend {name} ({backend.dialect.kind}) does not tell how much of a prompt it had in its cache: "
        f"start it with {backend.dialect.cached_flag}"
        for name, backend in backends.items()
        if silent.get(name, 0) >= _SURE and backend.dialect.cached_flag
    ]
