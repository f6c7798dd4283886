"""How values are written in the file whose types do not say it: units, shares, delays, tenants, policies.

Owns what pydantic has to know of each `Form`, which are also the types of the options that are declared in `config`.
"""

import re
from datetime import UTC, date, datetime, time
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

from proxy.config.refusal import did_you_mean, quoted, refusal
from proxy.core.route.policies import POLICIES
from proxy.model.bounds import Form
from proxy.model.cache import INSTANT, pace_of
from proxy.model.engine_facts import MAX_CHARS, NAMED, fact_label
from proxy.model.hedge import OFF, QUANTILES
from proxy.model.line_pattern import line_pattern
from proxy.model.tenants import is_tenant
from proxy.model.units import format_duration, format_size, parse_duration_s, parse_size_b
from proxy.wire.headers import NEVER_FORWARDED

_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{0,6})?)%", re.ASCII)

_TOKENS: Final = re.compile(r"([0-9]{1,9}) tokens?", re.ASCII)
_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII)
_AROUND_DIGEST: Final = " \"'`;,\u201c\u201d\u201e\u2018\u2019\u201a"
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME: Final = re.compile(_DATE.pattern + r"T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_LABEL: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_LABELS: Final = "labels"
_FACT: Final = rf"^([A-Za-z0-9._:-]{{1,64}}|({'|'.join(NAMED)})=.{{1,{MAX_CHARS}}})$"
_HEADER: Final = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)
_TAKEN: Final = frozenset({"authorization", "api-key", "x-api-key", "content-type", "origin", "x-tidegate-class"})
"""Headers that cannot say who a proxy in front means."""
_STORE: Final = re.compile(
    r"(?:rediss?|valkeys?)://[A-Za-z0-9.\[\]:_-]{1,255}(?:/[0-9]{1,4})?|unix:///[^\s?#@]{1,255}", re.ASCII
)


def _delay(text: Any) -> str:
    if not isinstance(text, str) or (text not in QUANTILES and text != OFF and not _is_duration(text)):
        raise ValueError(f"must be {', '.join(QUANTILES)}, a duration such as 300ms, or {OFF}")
    return text


def _is_duration(text: str) -> bool:
    try:
        return float(parse_duration_s(text)) > 0
    except ValueError:
        return False


def _percent(value: Any) -> Any:
    """`"5%"` → 0.05; numbers are shares already. Raises ValueError."""
    if not isinstance(value, str):
        return value
    match = _PERCENT.fullmatch(value)
    if match is None:
        raise ValueError("must be a share of the requests, such as 5%")
    return float(match.group(1)) / 100


def _pace(text: Any) -> str:
    if not isinstance(text, str) or (text != INSTANT and not pace_of(text)):
        raise ValueError(f"must be {INSTANT}, or a pace such as paced 50/s")
    return text


def _store(text: str) -> str:
    if not _STORE.fullmatch(text):
        raise ValueError("must be an address such as redis://127.0.0.1:6379/0; the password has an option of its own")
    return text


def _tenant(text: str) -> str:
    if not is_tenant(text):
        hint = "such as team-a; * stands for all others"
        raise refusal("must be a name of up to 64 of A-Z a-z 0-9 . _ @ + -, which is no API key", hint)
    return text


def _digest(text: str) -> str:
    """In small letters. What is none may be the key itself: it is not shown."""
    found = _DIGEST.fullmatch(text.strip().lower())
    if found is None:
        if _DIGEST.fullmatch(text.strip().lower().partition("#")[0].strip(_AROUND_DIGEST)):
            raise refusal("holds more than a digest", "take away the quotes, comma or comment that came along")
        hint = '`tidegate key new` prints it; of a key that exists: printf %s "$API_KEY" | sha256sum'
        raise refusal("must be sha256: and the 64 hex digits of the SHA-256 of an API key, never the key", hint)
    return "sha256:" + found.group(1)


def moment_s(value: Any) -> float:
    """`2027-01-01` → seconds since 1970 at its midnight UTC. Raises a refusal."""
    if not isinstance(value, str):
        raise refusal("must be a date such as 2027-01-01, or a time such as 2027-01-01T12:00:00Z")
    try:
        if _DATE.fullmatch(value):
            return datetime.combine(date.fromisoformat(value), time(), UTC).timestamp()
        at = datetime.fromisoformat(value) if _TIME.fullmatch(value) else None
    except ValueError:
        at = None
    if at is None:
        raise refusal("must be a date such as 2027-01-01, or a time such as 2027-01-01T12:00:00Z, in UTC")
    return at.timestamp()


def written_moment(seconds: float) -> str:
    """`2027-01-01`, or with the time where it is not midnight UTC."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.date().isoformat() if not seconds % 86400 else at.isoformat().replace("+00:00", "Z")


def _labels(value: Any) -> Any:
    """`{precision: fp16, labels: [eu]}` → `eu`, `precision=fp16`. Raises a refusal."""
    if not isinstance(value, dict):  # what is behind here is strict, and has no lists
        return tuple(value) if isinstance(value, list) else value
    plain = value.get(_LABELS, ())
    if not isinstance(plain, list | tuple):
        raise refusal(f"{_LABELS} must be a list of labels", "such as [eu, fp8]")
    return (*plain, *(_fact(name, written) for name, written in value.items() if name != _LABELS))


def _fact(name: Any, value: Any) -> str:
    if name not in NAMED:
        hint = did_you_mean(str(name), NAMED) or f"facts are {', '.join(NAMED)}; labels: [...] for others"
        raise refusal(f"{quoted(str(name))} is nothing that is known of engines", hint)
    value = str(value).lower() if isinstance(value, bool) else value
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CHARS:
        raise refusal(f"{name} must be a word of up to {MAX_CHARS} characters", "such as precision: fp16")
    return f"{name}={value}"


def _label(text: str) -> str:
    """As backends have it: facts in the one spelling that is compared."""
    name, is_fact, value = text.partition("=")
    if not is_fact:
        if not _LABEL.fullmatch(text):
            raise refusal(f"{quoted(text)} is not a label", "1 to 64 of the characters A-Z a-z 0-9 . _ : -")
        return text
    return fact_label(name, _fact(name, value).partition("=")[2])


def _network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise refusal(f"{quoted(text)} is not an address or a range of them", "such as 10.0.0.0/8 or ::1") from None
    if not network.prefixlen:
        raise refusal(f"{quoted(text)} is everybody, who could then be anybody", "name the proxies in front alone")
    return str(network.network_address if network.num_addresses == 1 else network)


def _header_name(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise refusal(f"{quoted(text)} is not a header name in lower case", "such as x-forwarded-user")
    if text.encode() in NEVER_FORWARDED or text in _TAKEN:
        raise refusal(f"{text} has another meaning", "such as x-forwarded-user")
    return text


def _line(text: str) -> str:
    line_pattern(text)
    return text


def _tokens(value: Any) -> Any:
    """`120 tokens` → 120."""
    found = _TOKENS.fullmatch(value) if isinstance(value, str) else None
    return value if found is None else int(found.group(1))


def _as_text(value: Any) -> Any:
    """`version: 3` means `version: "3"`."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _beside(name: str, info: ValidationInfo) -> str:
    """Relative to the configuration, whose directory whoever reads it knows."""
    directory: Path | None = getattr(info.context, "directory", None)
    return name if directory is None else str(directory / name)


Duration = Annotated[
    float,
    BeforeValidator(parse_duration_s),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "pattern": r"^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|d)|0)$",
            "minimum": 0,
            "maximum": 0,
            "examples": ["250ms", "5s", "2m"],
        }
    ),
]
"""Seconds; written with a unit."""
Size = Annotated[
    int,
    BeforeValidator(parse_size_b),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema(
        {
            "type": ["string", "integer"],
            "pattern": r"^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(B|KiB|MiB|GiB|kB|MB|GB)|0)$",
            "minimum": 0,
            "maximum": 0,
            "examples": ["64KiB", "8MiB"],
        }
    ),
]
"""Bytes; written with a unit."""
Count = Annotated[int, Field(ge=1)]
_Delay = Annotated[
    str,
    BeforeValidator(_delay),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(off|p90|p95|p99|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ms|s|m))$",
            "examples": ["p95", "300ms"],
        }
    ),
]
Percent = Annotated[
    float,
    BeforeValidator(_percent),
    AfterValidator(float),
    PlainSerializer(lambda share: f"{share * 100:.10g}%", return_type=str),
    WithJsonSchema({"type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]*)?%$", "examples": ["5%"]}),
]
"""A share, written as `5%`."""
_Tenant = Annotated[
    str,
    AfterValidator(_tenant),
    Field(json_schema_extra={"pattern": r"^([A-Za-z0-9][A-Za-z0-9._@+-]{0,63}|\*)$", "examples": ["team-a", "*"]}),
]
_Digest = Annotated[
    str,
    AfterValidator(_digest),
    Field(json_schema_extra={"pattern": r"^(sha256:)?[0-9A-Fa-f]{64}$"}),
]
_Moment = Annotated[
    float,
    BeforeValidator(moment_s),
    PlainSerializer(written_moment, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}", "examples": ["2027-01-01"]}),
]
Network = Annotated[str, AfterValidator(_network), Field(examples=["10.0.0.0/8", "::1"])]
_HeaderName = Annotated[
    str,
    AfterValidator(_header_name),
    Field(json_schema_extra={"pattern": rf"^{_HEADER.pattern}$", "examples": ["x-forwarded-user"]}),
]
_Labels = Annotated[
    tuple[Annotated[str, AfterValidator(_label), Field(json_schema_extra={"pattern": _FACT})], ...],
    BeforeValidator(_labels),
    Field(max_length=256),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string", "pattern": _FACT}, "maxItems": 256},
                {
                    "type": "object",
                    "properties": {
                        **{name: {"type": ["string", "boolean"], "maxLength": MAX_CHARS} for name in NAMED},
                        _LABELS: {"type": "array", "items": {"type": "string", "pattern": f"^{_LABEL.pattern}$"}},
                    },
                    "additionalProperties": False,
                },
            ],
            "examples": [["eu"], {"precision": "fp16"}],
        }
    ),
]
_Pace = Annotated[
    str,
    BeforeValidator(_pace),
    WithJsonSchema(
        {"type": "string", "pattern": rf"^({INSTANT}|paced [0-9]+(\.[0-9]+)?/s)$", "examples": [INSTANT, "paced 50/s"]}
    ),
]
_Store = Annotated[str, AfterValidator(_store), Field(json_schema_extra={"pattern": f"^({_STORE.pattern})$"})]

_Line = Annotated[str, AfterValidator(_line), Field(examples=["x-anthropic-billing-header", "^Current time: .*"])]
_Tokens = Annotated[
    int,
    BeforeValidator(_tokens),
    Field(ge=1, le=100_000),
    WithJsonSchema({"type": ["integer", "string"], "pattern": "^[0-9]+ tokens?$", "minimum": 1, "maximum": 100_000}),
]
_Version = Annotated[
    str,
    BeforeValidator(_as_text, json_schema_input_type=str | int),
    Field(pattern=r"^[A-Za-z0-9._-]{1,32}$"),
]
_File = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$"), AfterValidator(_beside)]

PemFile = _File
"""A name of a file, relative to the configuration."""

if TYPE_CHECKING:
    _Policy = str
else:
    _Policy = Literal[tuple(POLICIES)]

WRITTEN: Final[dict[Form, Any]] = {
    Form.DURATION: Duration,
    Form.SIZE: Size,
    Form.PERCENT: Percent,
    Form.DELAY: _Delay,
    Form.TENANT: _Tenant,
    Form.DIGEST: _Digest,
    Form.MOMENT: _Moment,
    Form.NETWORK: Network,
    Form.HEADER: _HeaderName,
    Form.POLICY: _Policy,
    Form.PACE: _Pace,
    Form.LABELS: _Labels,
    Form.STORE: _Store,
    Form.LINE: _Line,
    Form.TOKENS: _Tokens,
    Form.VERSION: _Version,
    Form.FILE: _File,
}
"""What pydantic reads instead of a type with that mark."""
