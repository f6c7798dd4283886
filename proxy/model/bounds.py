"""What a setting may be, as marks on the types of plain settings: `Annotated[int, Bounds(ge=1)]`.

Owns the marks, and checks nothing: `config` reads them where an operator's file becomes settings, and whoever makes
settings in code is believed.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated


class Form(Enum):
    """How a value is written where its type does not say it; read and written by `config.written`."""

    DURATION = "duration"
    """Seconds, as `250ms`."""
    SIZE = "size"
    """Bytes, as `8MiB`."""
    PERCENT = "percent"
    """A share, as `5%`."""
    DELAY = "delay"
    """A quantile (`p95`), a duration, or `off`."""
    TENANT = "tenant"
    """A name, digits of a digest, or `*`."""
    DIGEST = "digest"
    """The SHA-256 of an API key, as `sha256:` and 64 hex digits."""
    MOMENT = "moment"
    """Seconds since 1970, as `2027-01-01` or `2027-01-01T12:00:00Z`."""
    NETWORK = "network"
    """Addresses, as `10.0.0.0/8` or `::1`."""
    HEADER = "header"
    """A header's name in lower case."""
    POLICY = "policy"
    """The name of a policy of the router."""
    PACE = "pace"
    """`instant`, or tokens a second: `paced 50/s`."""
    LINE = "line"
    """The name at a line's start, or an anchored pattern."""
    TOKENS = "tokens"
    """A number of tokens, with the word or without."""
    VERSION = "version"
    """A short name, or a number."""
    FILE = "file"
    """Beside the configuration."""
    LABELS = "labels"
    """Labels and facts of backends: a list, or `{precision: fp16}`."""
    STORE = "store"
    """The address of a Redis or Valkey."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of a number, of a text's or a list's length, or of the characters of a text."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Short:
    """Of a group: it may be written as the value of one of its options alone."""

    option: str


Count = Annotated[int, Bounds(ge=1)]
Share = Annotated[float, Bounds(gt=0, le=1)]
Duration = Annotated[float, Form.DURATION]
"""Seconds; written with a unit."""
Size = Annotated[int, Form.SIZE]
"""Bytes; written with a unit."""
