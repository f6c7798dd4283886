"""Words of the command line as values: durations, addresses, names. Owns what is said of one that is none.

Imports nothing of the product until a word of that kind is read.
"""

import argparse
from typing import TYPE_CHECKING, Final, get_args

if TYPE_CHECKING:
    from proxy.bench.gate import Condition
    from proxy.bench.promise import Promise

DEFAULT_ADMIN_URL = "http://127.0.0.1:9090"
DEFAULT_DATA_URL = "http://127.0.0.1:8080"
DEFAULT_READY_URL = f"{DEFAULT_ADMIN_URL}/readyz"
_LONGEST_TRIAL_S: Final = 3600
_LONGEST_SILENCE_S: Final = 900.0


def tokens(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:18]) <= 10**12:
        raise argparse.ArgumentTypeError("must be a whole number above 0, such as 8192")
    return int(text)


def duration(text: str) -> float:
    seconds = _seconds(text)
    if not 1.0 <= seconds <= 86_400.0:
        raise argparse.ArgumentTypeError("must be between 1 s and 1 day")
    return seconds


def silence(text: str) -> float:
    seconds = _seconds(text)
    if not 0 < seconds <= _LONGEST_SILENCE_S:
        raise argparse.ArgumentTypeError("must be above 0 and at most 15m")
    return seconds


def trial(text: str) -> str:
    if not 0 < _seconds(text) <= _LONGEST_TRIAL_S:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1h")
    return text


def _seconds(text: str) -> float:
    from proxy.model.units import parse_duration_s

    try:
        return float(parse_duration_s(text))
    except ValueError as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None


def factor(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.01 <= number <= 100.0:
        raise argparse.ArgumentTypeError("must be a number between 0.01 and 100")
    return number


def address(text: str) -> str:
    from proxy.config.address import parse_address

    try:
        return str(parse_address(text))
    except ValueError as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None


def workers(text: str) -> int | str:
    from proxy.config.schema import MAX_WORKERS

    if text == "auto":
        return text
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"must be auto, or a whole number from 1 to {MAX_WORKERS}")
    return int(text)


def tenant(text: str) -> str:
    from proxy.model.tenants import OTHERS, is_tenant

    if text == OTHERS or not is_tenant(text):
        raise argparse.ArgumentTypeError("must be up to 64 of A-Z a-z 0-9 . _ @ + -, such as team-a, and no API key")
    return text


def moment(text: str) -> str:
    from proxy.config.written import moment_s

    try:
        moment_s(text)
    except ValueError as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None
    return text


def log_level(text: str) -> str:
    from proxy.config.schema import LogLevel

    return _one_of(text, get_args(LogLevel))


def auth(text: str) -> str:
    from proxy.model.auth import AuthMode

    return _one_of(text, get_args(AuthMode))


def log_format(text: str) -> str:
    from proxy.config.schema import LogFormat

    return _one_of(text, get_args(LogFormat))


def _one_of(text: str, known: tuple[str, ...]) -> str:
    from proxy.config.refusal import did_you_mean, quoted

    if text in known:
        return text
    hint = did_you_mean(text, known)
    raise argparse.ArgumentTypeError(
        f"{quoted(text)} is not one of {', '.join(known)}{f'; {hint}' if hint else ''}",
    )


def header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isascii() or not text.isprintable():
        raise argparse.ArgumentTypeError("write it like 'x-tidegate-class: bulk'")
    return name.strip(), value.strip()


def http_url(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        known = None
    if not known or not text.isascii() or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f"not a URL; write it like {DEFAULT_READY_URL}")
    return text


def promise(text: str) -> "Promise":
    from proxy.bench.promise import promise as read

    try:
        return read(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None


def gate(text: str) -> "Condition":
    from proxy.bench.gate import condition

    try:
        return condition(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None


def counts(text: str) -> tuple[int, ...]:
    found = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part[:9]) <= 100_000 for part in found):
        raise argparse.ArgumentTypeError("must be whole numbers above 0, such as 8,32,128")
    return tuple(map(int, found))


def seeds(text: str) -> tuple[int, ...]:
    found = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in found):
        raise argparse.ArgumentTypeError("must be whole numbers, such as 1 or 1,2,3")
    return tuple(map(int, found))


def rates(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(0 < one <= 100_000 for one in found):
        raise argparse.ArgumentTypeError("must be numbers above 0, such as 5,10")
    return found


def share(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be a share, such as 10% or 0.1")
    return value
