"""Mistakes between sections: names that nobody has, names that two have, options that contradict each other."""

import random

import yaml

from tests.support.mistakes.base import Base, Place
from tests.support.mistakes.keys import misspelt
from tests.support.mistakes.mistake import Kind, Mistake


def _scalar_at(base: Base, *ends: str) -> list[Place]:
    return [one for one in base.places if one.is_scalar and one.path[0] != "backends" and _ends(one, ends)]


def _ends(place: Place, ends: tuple[str, ...]) -> bool:
    named = [part for part in place.path if isinstance(part, str)]
    return ".".join(named).endswith(ends)


def _misnamed(base: Base, rng: random.Random, places: list[Place], *, is_error: bool = True) -> Mistake | None:
    if not places:
        return None
    place = rng.choice(places)
    mark = place.value.start_mark
    words: tuple[str, ...]
    if rng.random() < 0.5:
        odd, words = misspelt(place.text, rng), (place.text,)
    else:
        odd, words = "nobody", ("known", "one of", "`tidegate key new`", "such as")
    return Mistake(base.with_value(place, odd), (mark.line + 1,), words, mark.column + 1, is_error)


def unknown_class(base: Base, rng: random.Random) -> Mistake | None:
    return _misnamed(base, rng, _scalar_at(base, "rules.class", "highest_class", "slos.class", "limits.class"))


def unknown_pool(base: Base, rng: random.Random) -> Mistake | None:
    return _misnamed(base, rng, _scalar_at(base, "rules.pool", "fallback.pool"))


def unknown_model(base: Base, rng: random.Random) -> Mistake | None:
    places = _scalar_at(base, "default_model", "when.model", "fallback.model", "tenants.models", "limits.model")
    return _misnamed(base, rng, places, is_error=False)


def unknown_tenant(base: Base, rng: random.Random) -> Mistake | None:
    return _misnamed(base, rng, _scalar_at(base, "when.tenant"), is_error=False)


def unknown_label(base: Base, rng: random.Random) -> Mistake | None:
    return _misnamed(base, rng, _scalar_at(base, "rules.require"), is_error=False)


def unknown_endpoint(base: Base, rng: random.Random) -> Mistake | None:
    return _misnamed(base, rng, _scalar_at(base, "when.endpoint", "windows.endpoint"))


def unknown_key_of_bias(base: Base, rng: random.Random) -> Mistake | None:
    places = [one for one in base.keyed if one.path[-2:-1] in (("bias",), ("weights",))]
    if not places:
        return None
    place = rng.choice(places)
    odd = misspelt(place.name, rng)
    made = base.with_key(place, odd)
    return Mistake(made, (place.line + 1,), (place.name, "no class", "no key"), None, place.path[-2] == "bias")


def same_name(base: Base, rng: random.Random) -> Mistake | None:
    """Of two backends, classes, tenants."""
    lists = ("backends", "classes", "tenants")
    places = [
        one
        for one in base.options
        if one.path[0] in lists and len(one.path) == 3 and one.name in ("name", "tenant") and one.is_scalar
    ]
    place = rng.choice(places)
    if place.text == "*":
        return None
    others = [
        one for one in places if one.text != "*" and one.path[0] == place.path[0] and one.path[1] != place.path[1]
    ]
    if not others:
        return None
    other = rng.choice(others)
    section = next(one for one in base.options if one.path == (place.path[0],))
    lines = (max(place.line, other.line) + 1, section.line + 1)
    return Mistake(base.with_value(place, other.text), lines, (other.text, "two", "already"))


def same_url(base: Base, rng: random.Random) -> Mistake | None:
    places = [one for one in base.options if one.name == "url" and one.text.startswith("http:")]
    one, other = sorted(rng.sample(places, 2), key=lambda place: place.line)
    made = base.with_value(other, one.text)
    return Mistake(made, (other.line + 1,), ("twice", "already", "too"), None, is_error=False)


def same_digest(base: Base, rng: random.Random) -> Mistake | None:
    places = [one for one in base.places if one.is_scalar and one.text.startswith("sha256:")]
    if len(places) < 2:
        return None
    made = base.with_value(places[1], places[0].text)
    return Mistake(made, (places[1].line + 1,), ("already",))


def same_port(base: Base, rng: random.Random) -> Mistake | None:
    places = {one.name: one for one in base.options if one.name in ("listen", "admin")}
    if len(places) < 2:
        return None
    made = base.with_value(places["admin"], places["listen"].text)
    return Mistake(made, (places["admin"].line + 1, places["listen"].line + 1), ("another port", "same"))


_AGAINST = [
    # (group, option, value, words, whether it keeps the proxy from starting)
    ("health", "eject: 2h", ("eject_max",), True),
    ("health", "probe_interval: 0s", ("above 0",), True),
    ("connections", "buffer_low: 1MiB", ("buffer_high",), True),
    ("memory", "shed_bulk: 0.99", ("limits.memory.shed",), True),
    ("head", "field: 1MiB", ("limits.head.total",), True),
    ("upstream", "connect: 0", ("above 0",), True),
    ("log", "csv: /tmp/a.log\n  file: /tmp/a.log", ("too",), True),
    ("log", "access: false\n  file: /tmp/a.log", ("no effect",), False),
    ("auth", "mode: none", ("header",), True),
    ("auth", "from: []", ("header", "missing"), True),
]


def contradiction(base: Base, rng: random.Random) -> Mistake | None:
    group, line, words, is_error = rng.choice(_AGAINST)
    place = next((one for one in base.options if one.name == group and not one.is_scalar), None)
    if place is None or not isinstance(place.value, yaml.MappingNode):
        return None
    option = line.partition(":")[0]
    start, column = place.value.start_mark.line, place.value.start_mark.column
    at = next(
        (n for n in range(start, place.value.end_mark.line) if base.lines[n].strip().startswith(f"{option}:")), None
    )
    indented = " " * column + line.replace("\n  ", "\n" + " " * column)
    made = base.with_line(at, indented) if at is not None else base.with_line(start, indented, base.lines[start])
    number = (at if at is not None else start) + 1
    return Mistake(made, (number, number + 1) if "\n" in line else (number,), words, None, is_error)


def contradiction_of_backends(base: Base, rng: random.Random) -> Mistake | None:
    line, *words = rng.choice(
        [
            ("tls: {verify: false}", "https"),
            ("tls: {ca_file: /etc/ca.pem}", "https"),
            ("idle: 0", "above 0"),
            ("kv_tokens: 1000\nkv_cache: {layers: 32, kv_heads: 8, head_dim: 128, memory: 24GiB}", "one of the two"),
        ]
    )
    places = [one for one in base.options if one.name == "url" and one.text.startswith("http:")]
    place = rng.choice(places)
    if any(one.path[:2] == place.path[:2] and one.name == "kv_tokens" for one in base.options):
        return None
    indent = " " * place.column
    made = base.with_line(place.line, base.lines[place.line], *(indent + one for one in line.split("\n")))
    return Mistake(made, (place.line + 2,), tuple(words))


def keys_of_nobody(base: Base, rng: random.Random) -> Mistake | None:
    """Clients are asked for keys, and there are none; or the port is open to all."""
    listen = next(one for one in base.options if one.path == ("listen",))
    if base.name != "home":
        return None
    if rng.random() < 0.5:
        made = base.with_line(listen.line, base.lines[listen.line], "auth: keys")
        return Mistake(made, (listen.line + 2,), ("tidegate key new",))
    return Mistake(base.with_value(listen, "0.0.0.0:8080"), (listen.line + 1,), ("auth: none", "auth: keys"))


def keys_of_all_others(base: Base, rng: random.Random) -> Mistake | None:
    """Keys of the tenant * who is nobody."""
    place = next((one for one in base.options if one.name == "tenant" and one.text == "*"), None)
    if place is None:
        return None
    line = " " * place.column + "keys: [sha256:" + "a" * 64 + "]"
    made = base.with_line(place.line, base.lines[place.line], line)
    return Mistake(made, (place.line + 2,), ("entry with a name",))


KINDS: dict[str, Kind] = {
    "unknown class": unknown_class,
    "unknown pool": unknown_pool,
    "unknown model": unknown_model,
    "unknown tenant": unknown_tenant,
    "unknown label": unknown_label,
    "unknown endpoint": unknown_endpoint,
    "unknown name as a key": unknown_key_of_bias,
    "same name": same_name,
    "same url": same_url,
    "same digest": same_digest,
    "same port": same_port,
    "contradiction": contradiction,
    "contradiction of backends": contradiction_of_backends,
    "keys of nobody": keys_of_nobody,
    "keys of all others": keys_of_all_others,
}
