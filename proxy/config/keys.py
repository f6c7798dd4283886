"""What an unknown key may stand for: an option of another group, another program's word, a slip of the pen.

Owns the order: an exact name at another level beats a near name at this one. Every target is a path of the schema.
"""

import re
from collections.abc import Iterable

from proxy.config.foreign import ADVICE, FOREIGN, NOT_HERE
from proxy.config.options import OptionPath, all_options, fields_of, group_at, shown
from proxy.config.refusal import closest, did_you_mean
from proxy.config.schema import Config

_MAX_HOMES = 5
_GLUED = re.compile(r"(-?)([a-z_]+)(:?)(.*)", re.ASCII)


def unknown_key_hint(path: OptionPath) -> str:
    """For a key that no option has; nothing when nothing comes to mind."""
    group, key = group_at(Config, path[:-1]), str(path[-1])
    if group is None:
        return ""
    here, known = _generic(path[:-1]), fields_of(group)
    return (
        _glued(key, known)
        or _same_but_for_spelling(key, known)
        or ADVICE.get(here, {}).get(key, "")
        or NOT_HERE.get(key, "")
        or _said_elsewhere(here, key)
        or _home(here, key)
        or did_you_mean(key, known)
        or (f"known here: {', '.join(known)}" if len(known) <= 8 else "")
    )


def _generic(path: OptionPath) -> tuple[str, ...]:
    return tuple("[]" if isinstance(part, int) else part for part in path)


def _same_but_for_spelling(key: str, known: Iterable[str]) -> str:
    near = closest(key, known)
    same = near is not None and re.sub("[_-]", "", key).lower() == near.replace("_", "")
    other = next((one for one in known if one in _numbers(key)), None)
    return did_you_mean(key, known) if same else f'did you mean "{other}"?' if other else ""


def _numbers(key: str) -> tuple[str, ...]:
    """`class` → `classes`, and the other way."""
    many = key[:-1] + "ies" if key.endswith("y") else key + ("es" if key.endswith("s") else "s")
    return many, key.removesuffix("s"), key.removesuffix("es")


def _said_elsewhere(here: tuple[str, ...], key: str) -> str:
    word = FOREIGN.get(here, {}).get(re.sub("[-. ]", "_", key).lower())
    return f"here it is called {word}" if word else ""


def _home(here: tuple[str, ...], key: str) -> str:
    """Where an option of exactly this name belongs: below this group first, then anywhere."""
    homes = [option.path[:-1] for option in all_options(Config) if option.path[-1] == key]
    above = [home for home in homes if home and home == here[: len(home)]]
    if above:
        return f"it belongs below {_dotted(max(above, key=len))}: check the indentation"
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
