"""What may have been meant by a value: candidates in the order of likelihood, tried against the option itself.

Owns the guessing. Nothing is suggested that would not be valid where it stands, and nothing of a secret.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from proxy.config.refusal import closest
from proxy.config.scalars import Surprise, resolve
from proxy.config.source import looks_secret
from proxy.model.units import format_size

Fits = Callable[[Any], bool]
"""Whether a value would be valid in the place of the one that is not."""

_MAX_CHARACTERS = 100
_ON = frozenset({"on", "yes", "true", "enabled", "enable", "y"})
_OFF = frozenset({"off", "no", "false", "disabled", "disable", "n", "none", "never"})
_NOTHING = frozenset({"unlimited", "infinite", "infinity", "inf", "default", "null", "nil", "undefined", "0", "-1"})
_NEGATIVE = ("off", "none", "never")
_SECONDS = {"sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m"}
_SECONDS |= {"minutes": "m", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d"}
_SECONDS |= {"msec": "ms", "millis": "ms", "milliseconds": "ms", "millisecond": "ms"}
_BYTES = {"b": "B", "byte": "B", "bytes": "B", "k": "KiB", "ki": "KiB", "kb": "kB", "kib": "KiB", "m": "MiB"}
_BYTES |= {"mi": "MiB", "mb": "MB", "mib": "MiB", "g": "GiB", "gi": "GiB", "gb": "GB", "gib": "GiB"}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)", re.ASCII)
_COMPOUND = re.compile(r"(?:[0-9]+(?:h|m|s))+", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?", re.ASCII)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[,_ '][0-9]{3})+", re.ASCII)
_SHORT_THOUSANDS = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKmM])", re.ASCII)
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:%|percent|per cent|pct)", re.ASCII)
_AROUND = "\"'`;,\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
"""What does not belong to a value: quotes of typesetters, ends of statements."""
_SURELY_BYTES = 64 << 10
"""A size without a unit from here on counts bytes, a smaller one more likely MiB."""
_PAIR = re.compile(r"([a-z_][a-z0-9_]*)(?:\s*[:=]\s*|\s+)(\S.*)", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:+*%-]*", re.ASCII)


def suggestion(
    value: Any, fits: Fits, choices: Sequence[str] = (), keys: Sequence[str] = (), default: Any = None
) -> str:
    """`write …`, with what is valid where `value` is not; nothing where nothing comes to mind. `choices`: words that
    the option takes; `keys`: the options below it when it is a group; `default`: of the option."""
    guesses = (
        _texts(value, choices),
        _words(value, choices),
        _modes(value),
        _numbers(value),
        _quantities(value),
        _addresses(value, default),
        _urls(value),
        _groups(value, keys, fits),
        _lists(value),
    )
    found = next(
        (guess for guess in chain(*guesses) if len(as_yaml(guess)) <= _MAX_CHARACTERS and fits(guess)), guesses
    )
    if found is guesses:
        return ""
    other = next((o for o in _other_units(value, found) if fits(o)), None)
    return f"write {as_yaml(found)}" + (f" (or {as_yaml(other)})" if other else "")


def holds(hint: str, value: Any, fits: Fits) -> bool:
    """Whether a hint that says how to write `value` otherwise is right; True for all that say something else."""
    if match := re.fullmatch('did you mean "(.*)"\\?', hint):
        return fits(match[1])
    if hint == "leave the quotes out":
        return fits(_read(str(value)))
    return hint != "put it in quotes" or fits(value if isinstance(value, str) else json.dumps(value))


def _read(text: str) -> Any:
    """What an unquoted text means; the text itself where that is not clear."""
    value = resolve(text)
    return text if isinstance(value, Surprise) else value


def as_yaml(value: Any) -> str:
    """A value as one would write it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    if isinstance(value, str) and resolve(value) == value and _PLAIN.fullmatch(value) and not value.endswith(":"):
        return value
    return json.dumps(value, ensure_ascii=False)


def _words(value: Any, choices: Sequence[str]) -> Iterator[Any]:
    """Words that switch something on or off, or say that there is nothing."""
    word = str(value).lower() if isinstance(value, str | bool | int) else ""
    on, off = word in _ON, word in _OFF
    if (on or off) and not isinstance(value, bool):
        yield on
    negative = [choice for choice in choices if choice in _NEGATIVE]
    if off:
        yield from negative[:1]
    if on and negative:
        yield next(choice for choice in choices if choice not in _NEGATIVE)
    if off or word in _NOTHING:
        yield from (None, 0)


def _modes(value: Any) -> Iterator[Any]:
    """Modes of options that take other texts too."""
    word = str(value).lower() if isinstance(value, str | bool) else ""
    yield from ("p95",) if word in _ON else ("off",) if word in _OFF else ()


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, float) and value.is_integer():
        yield int(value)
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            yield float(text) if "." in text else int(text)
        if _THOUSANDS.fullmatch(text):
            yield int(re.sub("[,_ ']", "", text))
        if match := _SHORT_THOUSANDS.fullmatch(text):
            yield round(float(match[1]) * (1000 if match[2] in "kK" else 1_000_000))
        if match := _PERCENT.fullmatch(text):
            yield f"{match[1]}%"
            yield float(match[1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool) and value >= 2:
        yield f"{value:g}%"
        yield value / 100


def _quantities(value: Any) -> Iterator[Any]:
    """Numbers with their units."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if _NUMBER.fullmatch(text):
        yield f"{text}s"
        yield from (f"{text}h", f"{text}d")
        yield format_size(int(text)) if text.isdigit() and int(text) >= _SURELY_BYTES else f"{text}MiB"
    if match := _QUANTITY.fullmatch(text):
        unit = match[2].lower()
        yield from (match[1] + units[unit] for units in (_SECONDS, _BYTES) if unit in units)
        yield match[1] + unit
        yield from (match[1] + larger for larger in ("h", "d") if _SECONDS.get(unit, unit) in ("s", "m"))
    if _COMPOUND.fullmatch(text):
        factors = {"h": 3600, "m": 60, "s": 1}
        yield f"{sum(int(n) * factors[unit] for n, unit in re.findall('([0-9]+)([hms])', text))}s"


def _other_units(value: Any, found: Any) -> Iterator[str]:
    """What a number without a unit may have meant beside `found`."""
    if found in (f"{value}s", f"{value}MiB"):
        yield f"{value}ms" if found.endswith("s") else f"{value}B"


def _addresses(value: Any, default: Any) -> Iterator[Any]:
    """Listeners; the port is that of the default where none is written."""
    if not isinstance(default, str) or ":" not in default or isinstance(value, bool):
        return
    if str(value).lower() in _ON | _OFF | _NOTHING:
        return
    host, _, port = default.rpartition(":")
    text = str(value).strip() if isinstance(value, str | int) else ""
    text = re.sub(r"^[a-z]+://|/.*$", "", text)
    if text.isdigit():
        yield f"{host}:{text}"
    if re.fullmatch(r"\*?:[0-9]+", text):
        yield f"0.0.0.0:{text.rpartition(':')[2]}"
    yield text
    yield f"{text}:{port}"
    yield f"[{text.rpartition(':')[0]}]:{text.rpartition(':')[2]}"
    yield f"[{text}]:{port}"
    yield re.sub(r"[;,\s]+", ":", text)
    yield f"{host}:{text.rpartition(':')[2]}"


def _urls(value: Any) -> Iterator[Any]:
    """Base URLs and origins; nothing that could hold a password or a key."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield f"http://127.0.0.1:{value}"
    if not isinstance(value, str) or not value.strip() or any(c in value for c in "@?#"):
        return
    if match := re.fullmatch(r"(https?)[:/]+(.*)", value.strip(), re.IGNORECASE):
        value = f"{match[1]}://{match[2]}"
        yield value
    for whole in (value, f"http://{value}"):
        yield whole
        yield re.sub(r"/v1/.*", "", whole)
    yield f"https://{value}"


def _texts(value: Any, choices: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    if isinstance(value, list) and len(value) == 1:
        yield value[0]
    if isinstance(value, str):
        if near := closest(value, choices):
            yield near
        stripped = value.strip().strip(_AROUND).strip()
        yield from (stripped, stripped.lower(), re.sub(r"(?<=[^/:])/+$", "", stripped.lower()))
        yield _read(stripped)
        if "#" in value:
            yield _read(value.partition("#")[0].strip())
        if stripped in ("*", "all"):
            yield "any"


def _groups(value: Any, keys: Sequence[str], fits: Fits) -> Iterator[Any]:
    """A group of which only one value was written."""
    if isinstance(value, str) and (match := _PAIR.fullmatch(value)) and match[1] in keys:
        yield {match[1]: _read(match[2].strip())}
    if keys and value is not None and not isinstance(value, dict):
        fitting = [key for key in keys if fits({key: value})]
        if fitting and (len(fitting) == 1 or fitting[0] == keys[0]):
            yield {fitting[0]: value}
        elif any(fits({key: [value]}) for key in keys):
            yield {next(key for key in keys if fits({key: [value]})): [value]}
        yield {"url": f"http://{value}"}


def _lists(value: Any) -> Iterator[Any]:
    if isinstance(value, dict) and not looks_secret(json.dumps(value)):
        yield [value]
        yield [{"name": name, **entry} for name, entry in value.items() if isinstance(entry, dict)]
    if isinstance(value, str):
        parts = [part.strip() for part in value.strip("[]").split(",") if part.strip()]
        yield from (parts, [f"https://{part}" for part in parts])
        yield from ([{"url": part} for part in parts], [{"url": f"http://{part}"} for part in parts])
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield [str(value)]
