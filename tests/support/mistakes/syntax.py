"""Mistakes that make it no YAML, or another one than was meant: blanks, quotes, colons, brackets."""

import random

import yaml

from tests.support.mistakes.base import Base, Place
from tests.support.mistakes.mistake import Kind, Mistake


def lines_of(base: Base) -> list[Place]:
    """Options of one value on lines of their own."""
    return [one for one in base.options if one.is_scalar and base.is_block(one) and not one.value.style]


def in_line(base: Base, place: Place, line: str, *words: str) -> Mistake:
    return Mistake(base.with_line(place.line, line), (place.line + 1,), words)


def tab(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if one.column and "-" not in base.lines[one.line][: one.column]])
    line = base.lines[place.line].lstrip()
    return in_line(base, place, rng.choice(["\t", "  \t", "\t\t"]) + line, "tab")


def odd_blank(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if one.column > 1])
    line = base.lines[place.line]
    return in_line(base, place, "\u00a0" * 2 + line[2:], "U+00A0")


def indented_more(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if "-" not in base.lines[one.line][: one.column]])
    if place.line == 0 or place.line + 1 >= len(base.lines):
        return None
    above = base.lines[place.line - 1].strip()
    if not above or above.endswith(":") or above.startswith("#") or "gpt-4o-mini" in above:
        return None  # that is another level, or the first line of a group
    return in_line(base, place, " " * rng.choice([1, 2]) + base.lines[place.line], "indent")


def indented_less(base: Base, rng: random.Random) -> Mistake | None:
    places = [one for one in lines_of(base) if one.column > 2 and "-" not in base.lines[one.line][: one.column]]
    place = rng.choice([one for one in places if not base.lines[one.line - 1].endswith(":")])
    return in_line(base, place, base.lines[place.line][1:], "indent")


def at_the_parents_column(base: Base, rng: random.Random) -> Mistake | None:
    """The last option of a group, in the column of the group itself."""
    places = [
        one
        for one in lines_of(base)
        if one.column
        and "-" not in base.lines[one.line][: one.column]
        and len(one.path) > 1
        and isinstance(one.path[-2], str)
    ]
    place = rng.choice(places)
    parent = next(one for one in base.options if one.path == place.path[:-1])
    if parent.value.value[-1][0].value != place.name:
        return None
    line = " " * parent.column + base.lines[place.line].lstrip()
    known = any(one.path == (*parent.path[:-1], place.name) for one in base.options)
    return None if known else in_line(base, place, line, parent.name, f"line {place.line}", "line ")


def typesetters_quotes(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if one.name != "version" and one.path[0] != "slos"])
    left, right = rng.choice([("\u201c", "\u201d"), ("\u2018", "\u2019"), ("\u201e", "\u201c")])
    if place.name in ("name", "pool", "id", "tenant", "api_key", "model"):
        return None  # a name may hold anything, or what is wrong is told of who uses it
    made = base.with_value(place, f"{left}{place.text}{right}")
    return Mistake(made, (place.line + 1,), ("quotes", place.text))


def quote_left_open(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if one.name != "version"])
    quote = rng.choice("'\"")
    made = base.with_value(place, rng.choice([quote + place.text, place.text + quote]))
    if made.split("\n")[place.line].endswith(quote) and place.name in (
        *("name", "pool", "id", "tenant", "url", "api_key", "model"),
    ):
        return None
    return Mistake(made, (place.line + 1,), ("quote", place.text))


def no_colon(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(lines_of(base))
    sign = rng.choice([" ", " = ", ":", "="])
    line = base.lines[place.line]
    made = line[: place.column] + place.name + sign + place.text
    return in_line(base, place, made, "colon")


def no_colon_of_a_group(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(
        [one for one in base.options if not one.is_scalar and base.is_block(one) and not one.value.flow_style]
    )
    made = base.lines[place.line].rstrip(":")
    return in_line(base, place, made, "colon")


def no_blank_after_the_dash(base: Base, rng: random.Random) -> Mistake | None:
    firsts = [one for one in base.options if base.lines[one.line][: one.column].rstrip(" ").endswith("-")]
    place = rng.choice(firsts)
    line = base.lines[place.line]
    made = line[: place.column].rstrip(" ") + line[place.column :]
    section = next(one for one in base.options if one.path == place.path[:-2])
    return Mistake(base.with_line(place.line, made), (place.line + 1, section.line + 1), ("dash",))


def dash_forgotten(base: Base, rng: random.Random) -> Mistake | None:
    """Of one entry that is not the first, so that its keys come twice; or of the first."""
    firsts = [
        one
        for one in base.options
        if base.lines[one.line][: one.column].rstrip(" ").endswith("-") and one.path[-2] != 0
    ]
    if not firsts:
        return None
    place = rng.choice(firsts)
    line = base.lines[place.line]
    made = line[: place.column].replace("-", " ") + line[place.column :]
    return Mistake(base.with_line(place.line, made), (place.line + 1,), ("- ", "dash", "duplicate"))


def bracket_left_open(base: Base, rng: random.Random) -> Mistake | None:
    flows = [one for one in base.options if getattr(one.value, "flow_style", False) and base.is_block(one)]
    place = rng.choice(flows)
    line = base.lines[place.line]
    made = line[:-1] if line[-1] in "]}" else None
    if made is None:
        return None
    return in_line(base, place, made, "not closed", "missing")


def wrong_bracket(base: Base, rng: random.Random) -> Mistake | None:
    flows = [one for one in base.options if getattr(one.value, "flow_style", False) and base.is_block(one)]
    place = rng.choice(flows)
    line = base.lines[place.line]
    other = {"]": "}", "}": "]", ")": ")"}.get(line[-1])
    return None if other is None else in_line(base, place, line[:-1] + other, "close", "missing", line[-1])


def no_comma(base: Base, rng: random.Random) -> Mistake | None:
    flows = [one for one in base.options if isinstance(one.value, yaml.MappingNode) and one.value.flow_style]
    flows = [one for one in flows if len(one.value.value) > 1]
    if not flows:
        return None
    place = rng.choice(flows)
    return in_line(base, place, base.lines[place.line].replace(",", "", 1), "comma")


def end_of_statement(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if one.name != "version"])
    if place.name in (
        "name",
        "pool",
        "id",
        "tenant",
        "default_model",
        "model",
        "class",
        "highest_class",
        "api_key",
        "url",
    ):
        return None
    line = base.lines[place.line]
    return in_line(base, place, line + rng.choice([",", ";"]), place.text, "comma")


def special(base: Base, rng: random.Random) -> Mistake | None:
    names = ("name", "pool", "default_model", "id", "level", "kind", "policy")
    place = rng.choice([one for one in lines_of(base) if one.name in names])
    made = base.with_value(place, rng.choice("*@`%&") + place.text)
    return Mistake(made, (place.line + 1,), ("quotes",))


def star(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(
        [one for one in base.options if one.name in ("tenant", "models") and one.path[0] in ("tenants", "backends")]
    )
    text = "*" if place.is_scalar else "[*]"
    return Mistake(base.with_value(place, text), (place.line + 1,), ('"*"',))


def colon_inside(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if one.name in ("name", "pool", "id")])
    return Mistake(base.with_value(place, f"{place.text}: big"), (place.line + 1,), ("quotes",))


def two_in_one_line(base: Base, rng: random.Random) -> Mistake | None:
    places = [one for one in base.options if isinstance(one.value, yaml.MappingNode) and not one.value.flow_style]
    places = [one for one in places if one.name != "aliases"]
    place = rng.choice([one for one in places if base.is_block(one) and one.value.value[0][1].id == "scalar"])
    first = place.value.start_mark.line
    if first != place.line + 1:
        return None
    line = f"{base.lines[place.line]} {base.lines[first].strip()}"
    text = "\n".join([*base.lines[: place.line], line, *base.lines[first + 1 :]])
    return Mistake(text, (place.line + 1, place.line + 2), ("new line", "indent"))


KINDS: dict[str, Kind] = {
    "tab": tab,
    "odd blank": odd_blank,
    "indented more": indented_more,
    "indented less": indented_less,
    "at the parents column": at_the_parents_column,
    "typesetters quotes": typesetters_quotes,
    "quote left open": quote_left_open,
    "no colon": no_colon,
    "no colon of a group": no_colon_of_a_group,
    "no blank after the dash": no_blank_after_the_dash,
    "dash forgotten": dash_forgotten,
    "bracket left open": bracket_left_open,
    "wrong bracket": wrong_bracket,
    "no comma": no_comma,
    "end of statement": end_of_statement,
    "special": special,
    "star": star,
    "colon inside": colon_inside,
    "two in one line": two_in_one_line,
}
