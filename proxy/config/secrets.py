"""Secrets by reference: `${NAME}`, `${NAME:-default}`, `${file:PATH}`.

Owns where a secret comes from and that it never shows. A reference is expanded in secret options only: nothing of the
environment can reach a message, a label or a URL by way of any other option.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo

from proxy.config.refusal import refusal

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.ASCII | re.DOTALL)
_FOREIGN = re.compile(
    r"\$([A-Z_][A-Z0-9_]*)|\$\(([A-Z_][A-Z0-9_]*)\)|os\.environ/(\w+)|env[:/.](\w+)|\{(?:env\.|\$)(\w+)\}|%([A-Z_][A-Z0-9_]*)%"
    r"|\$\{env[:.](\w+)\}",
    re.ASCII,
)
"""How other programs name a variable: of shells, LiteLLM, Caddy, Windows."""
_SCHEMES = frozenset({"bearer", "basic"})
"""What may stand beside a reference without being a part of the secret."""
_MAX_SECRET_BYTES = 16 * 1024
_FORMS = "write ${NAME}, ${NAME:-default} or ${file:PATH}"


@dataclass(frozen=True, slots=True)
class SecretSource:
    """What references are looked up in; given to pydantic as the validation context."""

    env: Mapping[str, str] = field(repr=False)
    directory: Path
    """`${file:PATH}` is relative to this: the folder of the configuration file."""
    elsewhere: bool = False
    """The proxy will run on another machine, which has what this one lacks: a missing secret is no error."""
    files: set[Path] = field(default_factory=set, compare=False)
    """Where secrets were looked for."""

    def expand(self, text: str) -> str:
        """Every reference replaced. Raises a refusal that names the reference, never the value."""
        expanded = _REFERENCE.sub(lambda match: self._look_up(match[1]), text)
        if "${" in _REFERENCE.sub("", text):
            raise refusal("${ is not closed", _FORMS)
        return expanded

    def missing(self, text: str) -> list[str]:
        """What its references name and this machine lacks, as `${NAME}`."""
        return [match[0] for match in _REFERENCE.finditer(text) if not self._has(match[1])]

    def _has(self, reference: str) -> bool:
        if reference.startswith("file:"):
            return _secret_path(self.directory, reference).is_file()
        match = _NAME.fullmatch(reference)
        return match is None or bool(self.env.get(match[1]) or match[2] is not None)

    def _look_up(self, reference: str) -> str:
        if self.elsewhere and not self._has(reference):
            return ""
        if reference.startswith("file:"):
            path = _secret_path(self.directory, reference)
            self.files.add(path)
            return _read_secret(path)
        match = _NAME.fullmatch(reference)
        if not match:
            raise refusal("this is not a reference to a secret", _FORMS)
        name, default = match[1], match[2]
        value = self.env.get(name, "") or default
        if value is None:
            state = "empty" if name in self.env else "not set"
            raise refusal(f"the environment variable {name} is {state}", f"set it, or write ${{{name}:-}} for no key")
        return value


def _secret_path(directory: Path, reference: str) -> Path:
    name = reference.removeprefix("file:").strip()
    if not name:
        raise refusal("the reference names no file", _FORMS)
    if "\0" in name:
        raise refusal("the secret file cannot be read: not a usable path")
    return directory / Path(name).expanduser()


def is_literal(text: str) -> bool:
    """Whether the secret, or a part of it, stands in the file itself (a non-empty `:-default` is one too)."""
    if _FOREIGN.fullmatch(text):
        return False
    defaults = "".join(_default_of(m[1]) for m in _REFERENCE.finditer(text))
    around = _REFERENCE.sub("", text)
    if around != text and around.strip().lower() in _SCHEMES:
        around = ""
    return bool(around + defaults)


def _default_of(reference: str) -> str:
    match = None if reference.startswith("file:") else _NAME.fullmatch(reference)
    return (match[2] or "") if match else ""


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        hint = "its name is relative to this file, or begins with /"
        raise refusal(f"the secret file cannot be read: {reason.lower()}", hint) from None
    if len(data) > _MAX_SECRET_BYTES:
        raise refusal(f"the secret file is larger than {_MAX_SECRET_BYTES // 1024} KiB")
    value = data.strip().decode("ascii", "replace")
    if not value:
        raise refusal("the secret file is empty", "write the key into it, or leave api_key out")
    return value


def _expand(value: Any, info: ValidationInfo) -> Any:
    value = _expanded(value, info)
    if isinstance(value, str) and any(not "!" <= c <= "~" for c in value):
        raise refusal("must be printable ASCII without spaces", "give the bare key, without Bearer")
    return value or None


def _expand_line(value: Any, info: ValidationInfo) -> Any:
    value = _expanded(value, info)
    if isinstance(value, str) and (any(not " " <= c <= "~" for c in value) or value != value.strip()):
        raise refusal("must be printable ASCII without spaces around it", "give what follows the colon of the header")
    return value or None


def _expanded(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    if foreign := _FOREIGN.fullmatch(value):
        name = next(group for group in foreign.groups() if group)
        raise refusal("this is not how a variable is named here", f"write ${{{name}}}")
    if isinstance(info.context, SecretSource):
        value = info.context.expand(value)
    elif "${" in value:
        raise refusal("a reference is expanded only when a file is loaded")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        raise refusal("the key stands in quotes, which would be sent too", "take them away where the key is set")
    return value


SecretReference = Annotated[
    SecretStr | None,
    BeforeValidator(_expand),
    Field(json_schema_extra={"examples": ["${ENGINE_API_KEY}", "${file:/run/secrets/engine_key}"]}),
]
"""A secret by reference; one that expands to nothing is none at all."""
SecretLine = Annotated[
    SecretStr | None,
    BeforeValidator(_expand_line),
    Field(json_schema_extra={"examples": ["${OTLP_AUTHORIZATION}", "Bearer ${OTLP_TOKEN}"]}),
]
"""The same, of a whole line with spaces, such as the value of a header."""
