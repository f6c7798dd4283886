"""Mistakes with the names of options: misspelt, of another program, in the wrong group, twice or not at all."""

import random
import re

from tests.support.mistakes.base import Base, Place
from tests.support.mistakes.mistake import Kind, Mistake

_NEIGHBOURS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuiopoasdfghjklkxcvbnmn", strict=False))


def misspelt(word: str, rng: random.Random) -> str:
    """One slip of the fingers."""
    at = rng.randrange(1, len(word))
    kinds = [
        word[:at] + word[at + 1 :],
        word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + _NEIGHBOURS.get(word[at], "x") + word[at + 1 :],
        word[:-1] if word.endswith("s") else word + "s",
    ]
    return rng.choice([kind for kind in kinds if kind != word and kind])


def _options(base: Base, shortest: int = 3) -> list[Place]:
    return [one for one in base.options if len(one.name) >= shortest]


def _renamed(base: Base, place: Place, name: str, *words: str) -> Mistake:
    return Mistake(base.with_key(place, name), (place.line + 1,), words or (place.name,), place.column + 1)


def typo(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(_options(base, 4))
    name = misspelt(place.name, rng)
    if any(one.name == name for one in base.options):
        return None
    return _renamed(base, place, name, place.name)


def other_case(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in _options(base) if "_" in one.name])
    head, *rest = place.name.split("_")
    return _renamed(base, place, head + "".join(word.title() for word in rest))


def hyphens(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in _options(base) if "_" in one.name])
    return _renamed(base, place, place.name.replace("_", "-"))


def capitals(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(_options(base))
    return _renamed(base, place, rng.choice([place.name.title(), place.name.upper()]))


def singular(base: Base, rng: random.Random) -> Mistake | None:
    places = {
        "backends": "backend",
        "classes": "class",
        "tenants": "tenant",
        "limits": "limit",
        "models": "model",
        "rules": "rule",
        "slos": "slo",
        "keys": "key",
        "labels": "label",
        "retries": "retry",
        "windows": "window",
    }
    place = rng.choice([one for one in base.options if one.name in places])
    return _renamed(base, place, places[place.name])


def twice(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in base.options if one.is_scalar and base.is_block(one)])
    line = " " * place.column + f"{place.name}: {place.text}"
    last = place.value.end_mark.line
    words = ("duplicate", "twice", f"line {place.line + 1}")
    return Mistake(base.with_line(last, base.lines[last], line), (last + 2,), words, place.column + 1)


def group_twice(base: Base, rng: random.Random) -> Mistake | None:
    """A section that is begun once more at the end of the file."""
    place = rng.choice([one for one in base.options if len(one.path) == 1 and not one.is_scalar])
    text = base.text + base.text[place.key.start_mark.index : place.value.end_mark.index].rstrip() + "\n"
    return Mistake(text, (len(base.lines),), (f"line {place.line + 1}",), 1)


_MISPLACED = [
    # an option, what stands there, where it belongs
    ("stall: 10s", "limits.body"),
    ("max_wait: 30s", "hold"),
    ("attempts: 3", "retries"),
    ("policy: goodput", "routing"),
    ("rules: []", "routing"),
    ("probe_interval: 5s", "health"),
    ("eject_max: 1m", "health"),
    ("half_life: 30s", "routing.fairness"),
    ("default_model: qwen3-8b", "routing"),
    ("write_stall: 30s", "limits.connections"),
    ("shed_bulk: 0.9", "limits.memory"),
    ("origins: []", "cors"),
    ("watch: true", "reload"),
    ("readiness: 2s", "drain"),
    ("max_hold: 60s", "routing.admission"),
]


def at_the_top(base: Base, rng: random.Random) -> Mistake | None:
    """An option of a group at the top of the file."""
    line, home = rng.choice(_MISPLACED)
    at = rng.choice([one.line for one in base.options if len(one.path) == 1])
    return Mistake(base.with_line(at, line, base.lines[at]), (at + 1,), (home.rpartition(".")[2],), 1)


def in_a_backend(base: Base, rng: random.Random) -> Mistake | None:
    """An option of the whole file, or of another group, in a backend."""
    line, word = rng.choice(
        [
            ("policy: goodput", "routing"),
            ("listen: 127.0.0.1:80", "top"),
            ("retries: {attempts: 2}", "top"),
            ("fallback: {model: gpt-4o}", "classes"),
            ("scrape: 2s", "routing"),
            ("probe_interval: 5s", "health"),
            ("cache: {size: 1GiB}", "classes"),
            ("slo: {ttft: 1s}", "classes"),
            ("verify: false", "tls"),
            ("requests_per_minute: 60", "tenants"),
        ]
    )
    places = [one for one in base.options if one.path[0] == "backends" and one.name == "name"]
    if not places:
        return None
    place = rng.choice(places)
    text = base.with_line(place.line, base.lines[place.line], " " * place.column + line)
    return Mistake(text, (place.line + 2,), (word,), place.column + 1)


def section_too_deep(base: Base, rng: random.Random) -> Mistake | None:
    """A whole section that was put below another one."""
    line, below = rng.choice(
        [
            ("tenants: [{tenant: a}]", "auth"),
            ("classes: [{name: a}]", "routing"),
            ("health: {eject: 5s}", "limits"),
            ("retries: {attempts: 3}", "routing"),
            ("cors: {origins: []}", "limits"),
            ("backends: [{url: 'http://a'}]", "routing"),
            ("slos: []", "metrics"),
            ("cache: {size: 1MiB}", "limits"),
            ("drain: {streams: 30s}", "limits"),
            ("hold: {max_wait: 30s}", "routing"),
        ]
    )
    places = [one for one in base.options if one.path == (below,) and not one.is_scalar]
    if not places:
        return None
    first = places[0].value.start_mark
    text = base.with_line(first.line, " " * first.column + line, base.lines[first.line])
    return Mistake(text, (first.line + 1,), ("top of the file",), first.column + 1)


def missing(base: Base, rng: random.Random) -> Mistake | None:
    """Without something that must be there."""
    required = {"url", "name", "version", "tenant", "digest", "class", "endpoint"}
    places = [
        one
        for one in base.options
        if one.name in required
        and not {"telemetry", "limits"} & set(one.path)
        and base.is_block(one)
        and one.is_scalar
        and "rules" not in one.path
    ]
    place = rng.choice([one for one in places if one.path[0] != "backends" or one.name == "url"])
    line = base.lines[place.line]
    if "-" in line[: place.column]:  # the first of its entry: the next one moves up
        following = base.lines[place.line + 1]
        if not following.strip() or following.lstrip().startswith("-") or len(following) <= place.column:
            return None
        if following[: place.column].strip():
            return None
        text = "\n".join(
            [
                *base.lines[: place.line],
                line[: place.column] + following[place.column :],
                *base.lines[place.line + 2 :],
            ]
        )
        return Mistake(text, (place.line + 1,), (place.name,))
    whole = len(place.path) == 1
    entry = place.line + 1 if not whole else 2
    return Mistake(base.with_line(place.line), tuple(range(1, entry + 1)), (place.name,))


def no_backends(base: Base, rng: random.Random) -> Mistake | None:
    place = next(one for one in base.options if one.path == ("backends",))
    text = base.text[: place.key.start_mark.index] + base.text[place.value.end_mark.index :]
    if rng.random() < 0.5:
        text = base.text[: place.key.end_mark.index] + ":\n" + base.text[place.value.end_mark.index :]
        return Mistake(text, (place.line + 1,), ("list", "entry"))
    return Mistake(text, (1, 2), ("backends",)) if "bias" not in base.text else None


_FOREIGN = [
    # what others write at the top of their files, what it is here
    ("model_list:\n  - model_name: gpt-4o\n    litellm_params: {model: openai/gpt-4o}", "backends"),
    ("litellm_settings:\n  drop_params: true", "LiteLLM"),
    ("general_settings:\n  master_key: sk-1234", "tenants"),
    ("router_settings:\n  routing_strategy: simple-shuffle", "routing"),
    ("upstream:\n  servers: [gpu1, gpu2]", "backends"),
    ("upstreams:\n  - server: gpu1", "backends"),
    ("static_resources:\n  listeners: []", "Envoy"),
    ("entryPoints:\n  web:\n    address: ':80'", "listen"),
    ("apiVersion: v1", "Kubernetes"),
    ("kind: ConfigMap", "Kubernetes"),
    ("server:\n  port: 8080", "listen"),
    ("port: 8080", "listen"),
    ("proxy:\n  engine: olla", "backends"),
    ("discovery:\n  type: static", "backends"),
    ("healthCheckTimeout: 500", "health"),
    ("healthcheck:\n  interval: 5s", "health"),
    ("logLevel: info", "log.level"),
    ("startPort: 10001", "backends"),
    ("timeout: 30s", "limits.upstream"),
    ("rate_limit:\n  requests: 60", "tenants"),
    ("api_keys:\n  - sk-abc", "tenants"),
    ("fallbacks:\n  - gpt-4o", "routing.models"),
    ("load_balancing: round_robin", "routing.policy"),
    ("load_balancer: round_robin", "routing.policy"),
    ("ssl_certificate: /etc/cert.pem", "tls.cert"),
    ("worker_processes: auto", "process"),
    ("workers: 4", "process"),
    ("client_max_body_size: 10m", "limits.body.size"),
    ("proxy_read_timeout: 600", "limits.upstream"),
    ("prometheus:\n  port: 9090", "metrics"),
    ("redis_url: redis://127.0.0.1:6379", "cache.remote"),
    ("environment_variables:\n  KEY: x", "environment"),
    ("include: other.yaml", "one file"),
]


def foreign_section(base: Base, rng: random.Random) -> Mistake | None:
    lines, word = rng.choice(_FOREIGN)
    at = rng.choice([one.line for one in base.options if len(one.path) == 1])
    return Mistake(base.with_line(at, lines, base.lines[at]), (at + 1,), (word,), 1)


_FOREIGN_OF_BACKENDS = [
    ("api_base: http://a", "url"),
    ("base_url: http://a", "url"),
    ("model_name: gpt-4o", "models"),
    ("type: vllm", "kind"),
    ("provider: openai", "kind"),
    ("rpm: 60", "tenants"),
    ("tpm: 10000", "tenants"),
    ("weight: 3", "predicted"),
    ("priority: 1", "classes"),
    ("max_fails: 3", "health"),
    ("fail_timeout: 10s", "health"),
    ("max_conns: 10", "max_concurrency"),
    ("timeout: 60", "first_byte"),
    ("stream_timeout: 60", "idle"),
    ("tags: [a]", "labels"),
    ("cmd: llama-server --port 9000", "engines are started"),
    ("ttl: 300", "cache"),
    ("health_check_url: /health", "health"),
    ("health_path: /health", "health"),
    ("enabled: false", "leave the entry out"),
    ("headers: {a: b}", "headers"),
    ("backup: true", "fallback"),
    ("retries: 3", "retries"),
    ("host: gpu1", "url"),
    ("port: 8000", "url"),
    ("context_length: 32768", "context"),
]


def foreign_option(base: Base, rng: random.Random) -> Mistake | None:
    line, word = rng.choice(_FOREIGN_OF_BACKENDS)
    place = rng.choice([one for one in base.options if one.path[0] == "backends" and one.name == "models"])
    if re.match(r"url|models", line):
        return None
    text = base.with_line(place.line, base.lines[place.line], " " * place.column + line)
    return Mistake(text, (place.line + 2,), (word,), place.column + 1)


KINDS: dict[str, Kind] = {
    "typo": typo,
    "typo again": typo,
    "camel case": other_case,
    "hyphens": hyphens,
    "capitals": capitals,
    "singular": singular,
    "twice": twice,
    "group twice": group_twice,
    "at the top": at_the_top,
    "in a backend": in_a_backend,
    "section too deep": section_too_deep,
    "missing": missing,
    "no backends": no_backends,
    "foreign section": foreign_section,
    "foreign option": foreign_option,
}
