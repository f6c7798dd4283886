"""Mistakes with values: units, types, ranges, words, addresses, dates, secrets."""

import random
import re
from collections.abc import Sequence

import yaml

from tests.support.mistakes.base import Base, Place
from tests.support.mistakes.keys import misspelt
from tests.support.mistakes.mistake import Kind, Mistake

_DURATION = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]+)(KiB|MiB|GiB)")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_CHOICES = ("policy", "kind", "mode", "level", "format", "granularity", "pace")


def _matching(base: Base, pattern: re.Pattern[str]) -> list[Place]:
    return [one for one in base.options if one.is_scalar and pattern.fullmatch(one.text)]


def named(base: Base, *names: str) -> list[Place]:
    return [one for one in base.options if one.name in names]


def valued(base: Base, place: Place, text: str, *words: str, is_error: bool = True) -> Mistake:
    mark = place.value.start_mark
    return Mistake(base.with_value(place, text), (mark.line + 1,), words, mark.column + 1, is_error)


def one_of(rng: random.Random, places: Sequence[Place]) -> Place | None:
    return rng.choice(places) if places else None


def no_unit(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in _matching(base, _DURATION) if one.name != "expires"])
    number = _DURATION.fullmatch(place.text)[1]  # type: ignore[index]
    return valued(base, place, number, f"write {number}s", f"{number}ms", f"write {number}h")


def no_unit_of_size(base: Base, rng: random.Random) -> Mistake | None:
    if (place := one_of(rng, _matching(base, _SIZE))) is None:
        return None
    number = _SIZE.fullmatch(place.text)[1]  # type: ignore[index]
    return valued(base, place, number, f"write {number}MiB")


def odd_unit(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(_matching(base, _DURATION))
    number = _DURATION.fullmatch(place.text)[1]  # type: ignore[index]
    odd, right = rng.choice(
        [
            (" s", "s"),
            ("sec", "s"),
            (" seconds", "s"),
            ("S", "s"),
            ("min", "m"),
            (" minutes", "m"),
            ("hrs", "h"),
            ("msec", "ms"),
            (" ms", "ms"),
            ("us", "ms"),
            ("w", "d"),
        ]
    )
    return valued(base, place, number + odd, number + right, "ms, s, m", f"write {number}h")


def odd_unit_of_size(base: Base, rng: random.Random) -> Mistake | None:
    if (place := one_of(rng, _matching(base, _SIZE))) is None:
        return None
    number = _SIZE.fullmatch(place.text)[1]  # type: ignore[index]
    odd, right = rng.choice(
        [("M", "MiB"), (" MiB", "MiB"), ("mb", "MB"), ("mib", "MiB"), ("G", "GiB"), ("gb", "GB"), ("K", "KiB")]
    )
    return valued(base, place, number + odd, number + right)


def unit_of_another_kind(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([*_matching(base, _DURATION), *_matching(base, _SIZE)])
    is_size = _SIZE.fullmatch(place.text) is not None
    return valued(base, place, "30s" if is_size else "64MiB", "64MiB" if is_size else "250ms", "unit", "such as")


def quoted_number(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in _matching(base, re.compile("[0-9]+")) if one.name != "version"])
    return valued(base, place, f'"{place.text}"', "quotes", f"write {place.text}")


def word_for_number(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in _matching(base, _NUMBER) if one.name != "version"])
    return valued(base, place, rng.choice(["many", "auto", "high", "ten"]), "number")


def negative(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in _matching(base, _NUMBER) if one.name not in ("version", "priority")])
    return valued(base, place, f"-{place.text}", "at least", "above")


def negative_duration(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([*_matching(base, _DURATION), *_matching(base, _SIZE)])
    return valued(base, place, f"-{place.text}", "negative", "such as", place.text)


def thousands(base: Base, rng: random.Random) -> Mistake | None:
    places = [one for one in _matching(base, _NUMBER) if len(one.text) > 3 and "." not in one.text]
    if (place := one_of(rng, places)) is None:
        return None
    sign = rng.choice([",", "_", " ", "."])
    if sign == "." and not place.text.endswith("000"):
        return None
    return valued(base, place, f"{place.text[:-3]}{sign}{place.text[-3:]}", place.text, "whole number")


def group_for_value(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in base.options if one.is_scalar and one.name != "version"])
    if place.name in ("slo", "window", "auth", "hedge"):
        return None
    return valued(base, place, "{value: 1}", "must be", "write")._replace(column=None)


def list_for_value(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in base.options if one.is_scalar and base.is_block(one) and one.name != "api_key"])
    return valued(base, place, f"[{place.text}]", "must be", "write", place.text)._replace(column=None)


def value_for_group(base: Base, rng: random.Random) -> Mistake | None:
    names = ("limits", "health", "log", "cache", "body", "upstream", "drain", "retries", "admission", "hold", "memory")
    places = [one for one in base.options if one.name in names and isinstance(one.value, yaml.MappingNode)]
    place = rng.choice(places)
    end = place.value.end_mark
    made = base.text[: place.key.end_mark.index] + ": default\n" + base.text[end.index - end.column :]
    return Mistake(made, (place.line + 1,), ("group of options", "key: value"))


def map_for_list(base: Base, rng: random.Random) -> Mistake | None:
    """Entries with their names as keys, as other programs have it."""
    name, text = rng.choice(
        [
            ("backends", "backends:\n  gpu1:\n    url: http://gpu1:8000\n  gpu2:\n    url: http://gpu2:8000\n"),
            ("classes", "classes:\n  interactive:\n    priority: 5\n  bulk:\n    bulk: true\n"),
            ("tenants", "tenants:\n  team-a:\n    weight: 2\n"),
            ("backends", "backends:\n  url: http://gpu1:8000\n  name: gpu1\n"),
        ]
    )
    place = next((one for one in base.options if one.path == (name,)), None)
    if place is None or base.name == "team":
        return None
    if base.name == "fleet" and name == "tenants":
        return None
    made = base.text[: place.key.start_mark.index] + text + base.text[place.value.end_mark.index :]
    if name == "backends":
        made = re.sub(r"(?m)^ *default_model.*\n", "", made)
    return Mistake(made, (place.line + 1,), ("list", "- "), 1)


def list_for_map(base: Base, rng: random.Random) -> Mistake | None:
    """A dash in front of the options of a group."""
    groups = [
        one
        for one in base.options
        if isinstance(one.value, yaml.MappingNode) and not one.value.flow_style and len(one.value.value) > 1
    ]
    place = rng.choice(groups)
    first = place.value.start_mark
    lines = base.lines[first.line : place.value.end_mark.line]
    indent = first.column
    body = [
        line[:indent] + ("- " if n == 0 else "  ") + line[indent:] if line.strip() else line
        for n, line in enumerate(lines)
    ]
    text = "\n".join([*base.lines[: first.line], *body, *base.lines[place.value.end_mark.line :]])
    return Mistake(text, (place.line + 1,), ("group", "dash", "write"))


def text_for_list(base: Base, rng: random.Random) -> Mistake | None:
    places = [
        one
        for one in named(base, "models", "labels", "origins", "from", "require", "on")
        if isinstance(one.value, yaml.SequenceNode)
    ]
    flow = [one for one in places if one.value.flow_style and one.path[:2] != ("routing", "models")]
    place = rng.choice(flow)
    inner = base.text[place.value.start_mark.index + 1 : place.value.end_mark.index - 1]
    return valued(base, place, inner, "list", f"write [{inner}]")


def wrong_word(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in named(base, *_CHOICES) if one.is_scalar and len(one.text) > 3])
    return valued(base, place, misspelt(place.text, rng), place.text)


def unknown_word(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in named(base, *_CHOICES) if one.is_scalar])
    return valued(base, place, "fastest", "one of", "known", place.text)


def old_boolean(base: Base, rng: random.Random) -> Mistake | None:
    if (place := one_of(rng, _matching(base, re.compile("true|false")))) is None:
        return None
    words = ("yes", "on", "Yes", "ON") if place.text == "true" else ("no", "NO", "off")
    return valued(base, place, rng.choice(words), place.text)


def quoted_boolean(base: Base, rng: random.Random) -> Mistake | None:
    if (place := one_of(rng, _matching(base, re.compile("true|false")))) is None:
        return None
    return valued(base, place, f'"{place.text}"', "quotes", f"write {place.text}")


def octal(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in _matching(base, re.compile("[0-9]+")) if one.name != "version"])
    return valued(base, place, f"0{place.text}", f"write {place.text}")


def base_sixty(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(_matching(base, _DURATION))
    return valued(base, place, "1:30", "90s", "1m30s", "such as", "write")


def share(base: Base, rng: random.Random) -> Mistake | None:
    """A share as a percentage, or the other way."""
    names = ("shed", "shed_bulk", "tenant_share", "budget_ratio", "objective", "budget", "sampling")
    if (place := one_of(rng, [one for one in named(base, *names) if one.is_scalar])) is None:
        return None
    return valued(
        base,
        place,
        rng.choice(["95", "150%", "1.5", "'95 percent'"]),
        "at most",
        "%",
        "share",
        "write 0.95",
        "below",
        "from 0",
        "between",
    )


def no_value(base: Base, rng: random.Random) -> Mistake | None:
    places = [
        one
        for one in base.options
        if one.is_scalar and one.name in ("url", "name", "tenant", "policy", "kind", "listen")
    ]
    place = rng.choice([one for one in places if base.is_block(one)])
    made = base.text[: place.key.end_mark.index + 1] + base.text[place.value.end_mark.index :]
    return Mistake(made, (place.line + 1,), ("text", "value", "one of", "write"))


KINDS: dict[str, Kind] = {
    "no unit": no_unit,
    "no unit of size": no_unit_of_size,
    "odd unit": odd_unit,
    "odd unit of size": odd_unit_of_size,
    "unit of another kind": unit_of_another_kind,
    "quoted number": quoted_number,
    "word for number": word_for_number,
    "negative": negative,
    "negative duration": negative_duration,
    "thousands": thousands,
    "group for value": group_for_value,
    "list for value": list_for_value,
    "value for group": value_for_group,
    "map for list": map_for_list,
    "list for map": list_for_map,
    "text for list": text_for_list,
    "wrong word": wrong_word,
    "unknown word": unknown_word,
    "old boolean": old_boolean,
    "quoted boolean": quoted_boolean,
    "octal": octal,
    "base sixty": base_sixty,
    "share": share,
    "no value": no_value,
}
