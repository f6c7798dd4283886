"""Mistakes that come with what was pasted or left in: of merges, templates, JSON, Windows, other languages."""

import json
import random
import re

import yaml

from tests.support.mistakes.base import Base
from tests.support.mistakes.mistake import Kind, Mistake
from tests.support.mistakes.syntax import in_line, lines_of


def other_comment(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(lines_of(base))
    sign = rng.choice(["//", "--", "/*", "<!--", ";", "%", "rem"])
    indent = " " * (len(base.lines[place.line]) - len(base.lines[place.line].lstrip(" ")))
    made = base.with_line(place.line, f"{indent}{sign} as discussed", base.lines[place.line])
    return Mistake(made, (place.line + 1,), ("#", "comment"))


def comment_glued(base: Base, rng: random.Random) -> Mistake | None:
    places = [
        one
        for one in lines_of(base)
        if one.name not in ("name", "pool", "id", "tenant", "default_model", "model", "class")
    ]
    place = rng.choice(
        [one for one in places if one.name not in ("highest_class", "api_key", "url", "listen", "admin")]
    )
    line = base.lines[place.line]
    return in_line(base, place, f"{line}#as discussed", place.text, "such as", "#", "number", "true", "comment")


def conflict(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(lines_of(base))
    line = base.lines[place.line]
    made = base.with_line(place.line, "<<<<<<< HEAD", line, "=======", line, ">>>>>>> main")
    return Mistake(made, (place.line + 1,), ("merge", "conflict"), 1)


def half_a_conflict(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice(lines_of(base))
    sign = rng.choice(["=======", ">>>>>>> 1a2b3c (main)"])
    return Mistake(
        base.with_line(place.line, base.lines[place.line], sign), (place.line + 2,), ("merge", "conflict"), 1
    )


def merge_key(base: Base, rng: random.Random) -> Mistake | None:
    places = [one for one in base.options if one.path[0] == "backends" and one.name == "kind"]
    place = rng.choice(places)
    indent = " " * place.column
    made = base.with_line(place.line, base.lines[place.line], f"{indent}<<: *defaults")
    made = made.replace("version: 1\n", "version: 1\n", 1)
    return Mistake(made, (place.line + 2,), ("anchor", "merge", "write the options out"))


def template(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if one.name != "version"])
    made = base.with_value(place, "{{ .Values." + place.name + " }}")
    return Mistake(made, (place.line + 1,), ("template",))


def shell_template(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if one.name not in ("version", "api_key", "tenant")])
    made = base.with_value(place, "${" + place.name.upper() + "}")
    return Mistake(made, (place.line + 1,), ("secrets only", "value itself"))


def second_document(base: Base, rng: random.Random) -> Mistake | None:
    tops = [one for one in base.options if len(one.path) == 1 and one.line > 3]
    place = rng.choice(tops)
    made = base.with_line(place.line, "---", base.lines[place.line])
    return Mistake(made, (place.line + 1,), ("---",))


def tag(base: Base, rng: random.Random) -> Mistake | None:
    place = rng.choice([one for one in lines_of(base) if one.name != "version"])
    made = base.with_value(place, f"{rng.choice(['!env', '!!str', '!secret'])} {place.text}")
    return Mistake(made, (place.line + 1,), ("tags", "plain value"))


def json_line(base: Base, rng: random.Random) -> Mistake | None:
    """A line of JSON: quotes, and a comma that becomes a part of the value."""
    place = rng.choice([one for one in lines_of(base) if len(one.path) > 1])
    line = base.lines[place.line]
    text = place.text if re.fullmatch("[0-9.]+|true|false", place.text) else json.dumps(place.text)
    made = line[: place.column] + f'"{place.name}": {text},'
    return in_line(base, place, made, "comma", place.text)


def json_file(base: Base, rng: random.Random) -> Mistake | None:
    """The whole file as JSON, with a comma missing, one too many, or single quotes missing."""
    text = re.sub(r"(?m)\bon: ", '"on": ', base.text)  # to PyYAML it is true
    lines = json.dumps(yaml.safe_load(text), indent=2, default=str).split("\n")
    ends = [n for n, line in enumerate(lines) if line.endswith(",") and n + 1 < len(lines) and n > 3]
    at = rng.choice(ends)
    lines[at] = lines[at][:-1]
    if lines[at].strip() in ("}", "]"):
        return None
    return Mistake("\n".join(lines), (at + 1, at + 2), ("comma",))


def windows_and(base: Base, rng: random.Random) -> Mistake | None:
    """Line ends of Windows and a mark at the front, and a misspelt key: the line stays right."""
    place = rng.choice([one for one in base.options if len(one.name) > 4])
    made = base.with_key(place, place.name + "x").replace("\n", "\r\n")
    return Mistake(made, (place.line + 1,), (place.name,), place.column + 1)


def marked_and(base: Base, rng: random.Random) -> Mistake | None:
    """As it is read from a file, a mark at its front is taken off before; here it is pasted within."""
    place = rng.choice([one for one in base.options if base.is_block(one) and len(one.path) == 1 and one.line])
    made = base.with_key(place, "\ufeff" + place.name)
    return Mistake(made, (place.line + 1,), ("U+FEFF", place.name))


def cyrillic(base: Base, rng: random.Random) -> Mistake | None:
    """A letter that looks like another one."""
    looks = {"a": "\u0430", "e": "\u0435", "o": "\u043e", "c": "\u0441", "p": "\u0440"}
    place = rng.choice([one for one in base.options if any(c in looks for c in one.name) and len(one.name) > 3])
    letter = next(c for c in place.name if c in looks)
    return Mistake(base.with_key(place, place.name.replace(letter, looks[letter], 1)), (place.line + 1,), (place.name,))


def prose(base: Base, rng: random.Random) -> Mistake | None:
    """A line of talk without #, as it is copied along with code."""
    tops = [one for one in base.options if len(one.path) == 1 and one.line > 1]
    place = rng.choice(tops)
    line = rng.choice(["```yaml", "```", "our limits", "and then the limits of the engines", "...", "+++"])
    made = base.with_line(place.line, line, base.lines[place.line])
    return Mistake(made, (place.line + 1,), ("#", "colon", "remove", "---", "comment"))


KINDS: dict[str, Kind] = {
    "other comment": other_comment,
    "comment glued": comment_glued,
    "conflict": conflict,
    "half a conflict": half_a_conflict,
    "merge key": merge_key,
    "template": template,
    "shell template": shell_template,
    "second document": second_document,
    "tag": tag,
    "json line": json_line,
    "json file": json_file,
    "windows and": windows_and,
    "marked and": marked_and,
    "cyrillic": cyrillic,
    "prose": prose,
}
