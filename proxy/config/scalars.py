"""What a plain YAML scalar means: the YAML 1.2 core schema, minus everything that YAML 1.1 reads differently.

`no`, `22:22`, `08` or `1_000` mean one thing to one tool and another to the next; each is refused, with a way to write
it.
"""

import math
import re
from dataclasses import dataclass

Scalar = str | int | float | bool | None

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_OLD_BOOLEANS = {"yes": "true", "on": "true", "no": "false"}
"""Not `off`: it is the word that switches a mode off in several options, and an error where true or false is wanted."""
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.ASCII | re.IGNORECASE)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+", re.ASCII)
_OTHER_BASE = re.compile(r"[-+]?0[bo][0-9_]+|[-+]0x[0-9a-fA-F_]+|0x[0-9a-fA-F]*_[0-9a-fA-F_]*", re.ASCII)
_UNDERSCORED = re.compile(r"(?=.*_)[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?", re.ASCII)
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", re.ASCII)
_MAX_DIGITS = 30


@dataclass(frozen=True, slots=True)
class Surprise:
    """Why a plain scalar is refused."""

    message: str
    hint: str


def resolve(text: str) -> Scalar | Surprise:
    """The value of a plain (unquoted) scalar."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if surprise := _surprise(text):
        return surprise
    return _number(text)


def _number(text: str) -> Scalar | Surprise:
    if len(text) > _MAX_DIGITS and _FLOAT.fullmatch(text):
        return Surprise(f"a number of more than {_MAX_DIGITS} characters", "put it in quotes if it is a name")
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text) if math.isfinite(float(text)) else Surprise("the number is too large", "")
    return text


def _surprise(text: str) -> Surprise | None:
    if word := _OLD_BOOLEANS.get(text.lower()):
        return _ambiguous(text, "true or false", f'write {word}, or "{text}" for the word')
    if _NOT_FINITE.fullmatch(text):
        return Surprise(f"{text} is not a number that an option can have", "every limit is finite")
    if len(text) > _MAX_DIGITS:
        return None
    return _surprising_number(text)


def _surprising_number(text: str) -> Surprise | None:
    if _SEXAGESIMAL.fullmatch(text):
        return _ambiguous(text, "a number in base 60", f'write "{text}", in quotes')
    if _LEADING_ZERO.fullmatch(text):
        plain = text.replace("_", "").lstrip("+-0") or "0"
        return _ambiguous(text, "an octal number", f'write {plain}, or "{text}" for text')
    if _OTHER_BASE.fullmatch(text) or _UNDERSCORED.fullmatch(text):
        return _ambiguous(text, "a number", f'write a decimal number, or "{text}" for text')
    return None


def _ambiguous(text: str, meaning: str, hint: str) -> Surprise:
    return Surprise(f"unquoted {text} is {meaning} to some YAML tools and something else to others", hint)
