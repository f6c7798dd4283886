"""What an unknown key may stand for: an option of another group, another program's word, a slip of the pen.

Owns the order: an exact name at another level beats a near name at this one. Every target is a path of the schema.
"""

import re
from collections.abc import Iterable

from proxy.config.options import OptionPath, all_options, fields_of, group_at, shown
from proxy.config.refusal import closest, did_you_mean
from proxy.config.schema import Config

_BACKEND = ("backends", "[]")
_MAX_HOMES = 3
_GLUED = re.compile(r"(-?)([a-z_]+)(:?)(.*)", re.ASCII)

FOREIGN: dict[tuple[str, ...], dict[str, str]] = {
    (): {
        "model_list": "backends",
        "upstreams": "backends",
        "upstream": "backends",
        "servers": "backends",
        "engines": "backends",
        "endpoints": "backends",
        "clusters": "backends",
        "services": "backends",
        "providers": "backends",
        "reverse_proxy": "backends",
        "targets": "backends",
        "port": "listen",
        "bind": "listen",
        "address": "listen",
        "host": "listen",
        "addr": "listen",
        "listeners": "listen",
        "entrypoints": "listen",
        "log_level": "log.level",
        "logging": "log",
        "logger": "log",
        "router_settings": "routing",
        "strategy": "routing.policy",
        "routing_strategy": "routing.policy",
        "retry": "retries",
        "num_retries": "retries.attempts",
        "max_retries": "retries.attempts",
        "healthcheck": "health",
        "health_check": "health",
        "health_checks": "health",
        "users": "tenants",
        "rate_limits": "tenants",
        "rate_limit": "tenants",
        "authentication": "auth",
        "consumers": "tenants",
        "teams": "tenants",
        "virtual_keys": "tenants",
        "timeout": "limits.upstream.first_byte",
        "timeouts": "limits.upstream",
        "request_timeout": "limits.upstream.first_byte",
        "max_body_size": "limits.body.size",
        "client_max_body_size": "limits.body.size",
        "shutdown": "drain",
        "graceful_shutdown": "drain",
        "fallbacks": "routing.models[].fallback",
    },
    _BACKEND: {
        "api_base": "url",
        "base_url": "url",
        "baseurl": "url",
        "endpoint": "url",
        "address": "url",
        "host": "url",
        "server": "url",
        "target": "url",
        "upstream": "url",
        "uri": "url",
        "path": "url",
        "key": "api_key",
        "apikey": "api_key",
        "token": "api_key",
        "auth": "api_key",
        "type": "kind",
        "engine": "kind",
        "provider": "kind",
        "backend": "kind",
        "model": "models",
        "model_name": "models",
        "max_parallel_requests": "max_concurrency",
        "max_connections": "max_concurrency",
        "max_requests": "max_concurrency",
        "max_conns": "max_concurrency",
        "concurrency": "max_concurrency",
        "max_num_seqs": "seats",
        "tags": "labels",
        "group": "pool",
        "cluster": "pool",
        "id": "name",
        "timeout": "first_byte",
        "request_timeout": "first_byte",
        "read_timeout": "idle",
        "connect_timeout": "connect",
        "insecure_skip_verify": "tls.verify",
        "verify_ssl": "tls.verify",
        "ssl": "tls",
        "model_alias": "aliases",
    },
    ("backends", "[]", "tls"): {"ca": "ca_file", "cafile": "ca_file", "ca_cert": "ca_file", "cert": "ca_file"},
    ("tenants", "[]"): {
        "rpm": "requests_per_minute",
        "tpm": "tokens_per_minute",
        "tpd": "tokens_per_day",
        "name": "tenant",
        "id": "tenant",
        "key": "keys",
        "api_key": "keys",
        "api_keys": "keys",
        "allowed_models": "models",
        "max_class": "highest_class",
        "max_parallel_requests": "max_concurrent",
        "concurrency": "max_concurrent",
        "max_concurrency": "max_concurrent",
    },
    ("tenants", "[]", "keys", "[]"): {
        "sha256": "digest",
        "hash": "digest",
        "key": "digest",
        "name": "id",
        "expiry": "expires",
        "expires_at": "expires",
    },
    ("auth",): {"type": "mode", "cidr": "from", "trusted": "from", "networks": "from"},
    ("routing", "rules", "[]"): {"if": "when", "match": "when", "conditions": "when", "labels": "require"},
    ("routing", "models", "[]"): {"model": "name", "fallbacks": "fallback"},
    ("log",): {"access_log": "access", "loglevel": "level", "type": "format"},
    ("retries",): {"max": "attempts", "count": "attempts", "num_retries": "attempts", "max_retries": "attempts"},
    ("health",): {"interval": "probe_interval", "timeout": "probe_timeout"},
    ("cors",): {"allow_origins": "origins", "allowed_origins": "origins", "allow_origin": "origins"},
}
"""By group: what other proxies, gateways and engines call it → what it is called here, below that group."""


_NOT_HERE = {
    "weight": "shares follow from what each backend is predicted to do: leave it out",
    "priority": "classes have priorities, backends have pools and labels: leave it out",
    "order": "write pool, and a rule or a fallback that names it",
    "api_keys": "keys of clients are digests below tenants: `tidegate key new` prints them",
    "master_key": "keys of clients are digests below tenants: `tidegate key new` prints them",
    "workers": "one process uses one core: start more of them",
}
"""What others have and this proxy has not, by any group."""


def unknown_key_hint(path: OptionPath) -> str:
    """For a key that no option has; nothing when nothing comes to mind."""
    group, key = group_at(Config, path[:-1]), str(path[-1])
    if group is None:
        return ""
    here, known = _generic(path[:-1]), fields_of(group)
    return (
        _glued(key, known)
        or _same_but_for_spelling(key, known)
        or _said_elsewhere(here, key)
        or _NOT_HERE.get(key, "")
        or _home(here, key)
        or did_you_mean(key, known)
        or (f"known here: {', '.join(known)}" if len(known) <= 8 else "")
    )


def _generic(path: OptionPath) -> tuple[str, ...]:
    return tuple("[]" if isinstance(part, int) else part for part in path)


def _same_but_for_spelling(key: str, known: Iterable[str]) -> str:
    near = closest(key, known)
    same = near is not None and re.sub("[_-]", "", key).lower() == near.replace("_", "")
    return did_you_mean(key, known) if same else ""


def _said_elsewhere(here: tuple[str, ...], key: str) -> str:
    word = FOREIGN.get(here, {}).get(re.sub("[-. ]", "_", key).lower())
    return f"here it is called {word}" if word else ""


def _home(here: tuple[str, ...], key: str) -> str:
    """Where an option of exactly this name belongs: below this group first, then anywhere."""
    homes = [option.path[:-1] for option in all_options(Config) if option.path[-1] == key]
    below = [home[len(here) :] for home in homes if home[: len(here)] == here and len(home) > len(here)]
    places = [_dotted(home) for home in below or homes]
    if not places or len(places) > _MAX_HOMES:
        return ""
    if places == [""]:
        return "it belongs at the top of the file"
    return f"it belongs below {' or '.join(place or 'the top of the file' for place in places)}"


def _dotted(path: tuple[str, ...]) -> str:
    return shown(tuple(part for part in path if part != "[]"))


def _glued(key: str, known: Iterable[str]) -> str:
    """A key that took its dash or its value along, because a space is missing; its value may be a secret."""
    match = _GLUED.fullmatch(key)
    if match is None or match[2] not in known or not (match[1] or match[4]):
        return ""
    if match[1]:
        return "write a space after the dash"
    return "write a space after the colon" if match[3] else ""
