"""Who may open how many descriptors, so that neither port starves the other, nor the way to the engines.

Owns the shares and the process's limit. The data port has one half of what is left of the limit when everybody else has
theirs, connections to engines the other; the admin port, probes and scrapes, and what the process itself has open keep
what they need.
"""

import resource
from typing import Final, NamedTuple

from proxy.config.schema import Config
from proxy.live.cache.remote import CONNECTIONS
from proxy.model.cache import CacheSettings

_OWN: Final = 48
"""The loop, logs, listeners, files, and connections on their way in or out."""
_PER_BACKEND: Final = 2
"""A probe and a scrape."""
_ADMIN: Final = 120
_ADMIN_LEAST: Final = 8
_NOT_VIEWERS: Final = 20
"""Of the admin port's, so many at least are left to probes, scrapes and questions by those who watch its page."""
LEAST: Final = 128
"""Below it there is nothing to share."""


class Descriptors(NamedTuple):
    """Connections at most."""

    clients: int
    admin: int
    """That stay; twice as many for a moment."""
    upstream: int
    """To all engines together; above it those that wait for a request are closed."""


def shared(limit: int, clients: int, backends: int, others: int = 0) -> Descriptors:
    """The shares of `limit` descriptors for `clients` wanted connections; `others`: to what is no engine. Small limits
    reserve for few backends."""
    admin = max(_ADMIN_LEAST, min(_ADMIN, limit // 16))
    left = limit - 2 * admin - min(_OWN + _PER_BACKEND * backends + others, limit // 2)
    return Descriptors(max(1, min(clients, left // 2)), admin, max(1, left // 2))


def shares(config: Config) -> Descriptors:
    """The shares of what this process may open now, as the configuration wants them."""
    return shared(current_limit(), config.limits.connections.max, len(config.backends), of_second_level(config.cache))


def viewers(admin: int) -> int:
    """How many of `admin` connections may watch the page."""
    return max(admin // 2, admin - _NOT_VIEWERS)


def needed(clients: int, backends: int, others: int = 0) -> int:
    """The limit with which `clients` connections can be had."""
    return 2 * clients + 2 * _ADMIN + _OWN + _PER_BACKEND * backends + others


def of_second_level(cache: CacheSettings) -> int:
    """Connections to the second level of the cache."""
    return CONNECTIONS if cache.size and cache.remote is not None else 0


def raise_limit(wanted: int) -> int:
    """The process may open so many, or as many as it may allow itself; what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if granted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
    return max(soft, granted)


def current_limit() -> int:
    """Descriptors this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft
