"""Options that a running proxy cannot take: it has to be started anew for them. All others are reloaded.

Owns this table, of which the reference, `check`, `diff` and the log of a reload are made.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from proxy.config.options import OptionPath
from proxy.config.schema import Config

RESTART: Final[Mapping[str, str]] = MappingProxyType(
    {
        "listen": "the address is bound once, and clients are connected to it",
        "admin": "the address is bound once",
        "workers": "its processes are started at the start",
        "state": "the file is read at the start only",
        "store": "the folder is opened, and locked, at the start",
        "log.file": "the file is opened at the start",
        "log.csv": "the file is opened at the start",
        "log.rotate": "its writers are made at the start",
        "log.keep": "its writers are made at the start",
        "metrics.models": "what labels may be is fixed at the start",
        "metrics.tenants": "what labels may be is fixed at the start",
        "slo_state": "the file is read at the start only",
    }
)
"""Option, groups with all that is below them → why."""


def needs_restart(path: OptionPath) -> bool:
    """Whether a change of this option, or of what is below it, waits for a restart."""
    keys = [part for part in path if isinstance(part, str)]
    return any(".".join(keys[:depth]) in RESTART for depth in range(1, len(keys) + 1))


def as_running(wanted: Config, running: Config) -> Config:
    """`wanted`, but for what only a restart can bring: that stays as it runs."""
    for option in RESTART:
        wanted = _with(wanted, running, option.split("."))
    return wanted


def _with(wanted: Any, running: Any, keys: list[str]) -> Any:
    first, *rest = keys
    value = getattr(running, first)
    if rest:
        value = _with(getattr(wanted, first), value, rest)
    if isinstance(wanted, BaseModel):
        return wanted.model_copy(update={first: value})
    return replace(wanted, **{first: value})  # plain settings
