"""Files that options name: certificates, tokenizers, what outlives a restart. Owns what such a file must be, and
telling what it is instead.

Keys are read by `secrets`.
"""

import hashlib
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.slos import file_of
from proxy.wire.vocabularies import BPE_FILES, BPE_SUFFIX

MAX_TOKENIZER_B = 64 << 20
"""The largest tokenizer.json in use has 35 MB."""
STATE_BEGINS = b'{"tidegate_state":'
"""How every file of `state` begins."""
SQLITE_BEGINS = b"SQLite format 3\0"
"""How every file of `slo_state` begins."""
_MAX_CA_B = 4 << 20
"""The bundle of all public authorities has 0.2 MB."""


class UnusableFileError(Exception):
    """A file that is not what it should be; the message says why, as the end of a sentence about it."""

    def __init__(self, message: str, hint: str = "", severity: Severity = Severity.ERROR) -> None:
        super().__init__(message)
        self.message, self.hint, self.severity = message, hint, severity


class _MissingError(UnusableFileError):
    """It is not there, or may not be read: another machine may have it."""


def file_findings(
    tokenizers: Mapping[str, str], backends: Mapping[int, BackendOptions], directory: Path, *, elsewhere: bool
) -> Iterator[Finding]:
    """Every named file that cannot be used. `elsewhere`: missing ones are only noted."""
    for path, name, check in _named(tokenizers, backends):
        try:
            check(name)
        except UnusableFileError as error:
            missing = isinstance(error, _MissingError)
            severity = Severity.NOTE if elsewhere and missing else error.severity
            hint = error.hint or (_elsewhere(name, directory) if missing else "")
            yield Finding(path, error.message, hint, severity)


def state_findings(name: str, *, elsewhere: bool) -> Iterator[Finding]:
    """Why what is learned will not be kept there. The proxy starts all the same."""
    if name != "off" and not elsewhere and (why := _unwritable(Path(name), STATE_BEGINS, "state", "state.json")):
        yield Finding(("state",), why[0], why[1], Severity.WARNING)


def log_findings(log: Any, *, elsewhere: bool) -> Iterator[Finding]:
    """Log files that cannot be written. The proxy starts all the same, and tries again with every line."""
    for option in ("file", "csv"):
        name = None if log is None or elsewhere else getattr(log, option)
        if name is not None and (why := _unopenable(Path(name))):
            yield Finding(("log", option), why[0], why[1], Severity.WARNING)


def _unopenable(path: Path) -> tuple[str, str] | None:
    try:
        if path.is_dir():
            return "is a directory", "name a file in it"
        if not path.parent.is_dir():
            return f"there is no directory {path.parent}", "make it, for the user that the proxy runs as"
        if path.exists():
            return None if os.access(path, os.W_OK) else ("the file cannot be written to", "let its user write")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            return f"the directory {path.parent} cannot be written to", "files are made there; let its user write"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        return f"the file cannot be looked at: {reason.lower()}", ""
    return None


def slo_file_findings(slo_state: str | None, state: str | None, *, elsewhere: bool) -> Iterator[Finding]:
    """The same for counts of objectives. What follows from `state` is said there."""
    name = file_of(slo_state or "off", state or "off")
    written = name is not None and name == slo_state
    if written and not elsewhere and (why := _unwritable(Path(str(name)), SQLITE_BEGINS, "SLO", "slo.sqlite")):
        yield Finding(("slo_state",), why[0], why[1], Severity.WARNING)


def _unwritable(path: Path, begins: bytes, kind: str, example: str) -> tuple[str, str] | None:
    try:
        if path.is_dir():
            return "is a directory", f"write {path / example}"
        if not path.parent.is_dir():
            return f"there is no directory {path.parent}", "make it, for the user that the proxy runs as"
        if not os.access(path.parent, os.W_OK | os.X_OK):
            return f"the directory {path.parent} cannot be written to", "files are made there; let its user write"
        if path.exists():
            return _unreadable(path, begins, kind)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        return f"the file cannot be looked at: {reason.lower()}", ""
    return None


def _unreadable(path: Path, begins: bytes, kind: str) -> tuple[str, str] | None:
    if not path.is_file():
        return "is not a file", "name one, or one that is not there yet"
    with path.open("rb") as file:
        data = file.read(len(begins))
    if data.strip() and data != begins:
        article = "an" if kind == "SLO" else "a"
        return f"the file is not {article} {kind} file of Tidegate, and is left alone", "name another one"
    return None


def _named(
    tokenizers: Mapping[str, str], backends: Mapping[int, BackendOptions]
) -> Iterator[tuple[OptionPath, str, Callable[[str], None]]]:
    for index, backend in backends.items():
        if backend.tls.ca_file is not None:
            yield ("backends", index, "tls", "ca_file"), backend.tls.ca_file, check_ca_file
    for model, name in tokenizers.items():
        yield ("tokenizers", model), name, check_tokenizer


def _elsewhere(name: str, directory: Path) -> str:
    """Where the file may be instead."""
    there = Path(name).expanduser() if name.startswith("~") else directory / name
    if str(there) != name and there.is_file():
        return f"write {there.resolve()}"
    return "it is looked for in the working directory; write its whole path" if not Path(name).is_absolute() else ""


def check_ca_file(name: str) -> None:
    """Raises UnusableError for what is no PEM file of certificates."""
    data = _read(name, _MAX_CA_B)
    if b"-----BEGIN CERTIFICATE-----" not in data and b"-----BEGIN TRUSTED CERTIFICATE-----" not in data:
        raise UnusableFileError(*_no_certificate(data))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=data.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise UnusableFileError(
            "a certificate in this file is damaged", "copy it once more, BEGIN and END lines too"
        ) from None
    ends = [str(certificate["notAfter"]) for certificate in context.get_ca_certs()]
    if ends and max(map(ssl.cert_time_to_seconds, ends)) < time.time():
        last = max(ends, key=ssl.cert_time_to_seconds)
        raise UnusableFileError(f"the certificate has expired ({last})", "renew it", Severity.WARNING)


def _no_certificate(data: bytes) -> tuple[str, str]:
    if not data.strip():
        return "the file is empty", "write PEM certificates into it, or leave ca_file out"
    if b"PRIVATE KEY-----" in data:
        return "the file holds a private key and no certificate", "name the certificate of the authority"
    if b"-----BEGIN CERTIFICATE REQUEST-----" in data:
        return "the file holds a request for a certificate, not a certificate", "name the certificate of the authority"
    if data.startswith(b"\x30\x82"):
        return "the file is not PEM but DER", "convert it: openssl x509 -inform der -in FILE -out FILE.pem"
    return "the file holds no PEM certificate", "it has a line -----BEGIN CERTIFICATE-----"


class _Vocabulary(BaseModel):
    """Of what is only looked at, nothing is kept."""


class _Tokenizer(BaseModel):
    model: _Vocabulary


def check_tokenizer(name: str) -> None:
    """Raises UnusableError for what is neither a Hugging Face tokenizer.json nor one of OpenAI's vocabularies."""
    inside = Path(name) / "tokenizer.json"
    if _is_file(inside):
        raise UnusableFileError("is a directory", f"write {inside}")
    data = _read(name, MAX_TOKENIZER_B)
    if data.startswith(b"version https://git-lfs"):
        raise UnusableFileError("the file is a pointer of Git LFS, not the tokenizer", "fetch it: git lfs pull")
    if Path(name).suffix == BPE_SUFFIX:
        digest = hashlib.sha256(data).hexdigest()
        if all(known.sha256 != digest for known in BPE_FILES):
            hint = f"known are {', '.join(known.vocabularies[0] for known in BPE_FILES)}, byte for byte"
            raise UnusableFileError("the file is no vocabulary as OpenAI publishes them", hint)
        return
    try:
        _Tokenizer.model_validate_json(data)
    except ValidationError as invalid:
        raise UnusableFileError(
            *_no_tokenizer(data, invalid.errors(include_url=False, include_input=False)[0])
        ) from None


def _no_tokenizer(data: bytes, error: Mapping[str, Any]) -> tuple[str, str]:
    if not data.strip():
        return "the file is empty", "download it once more"
    if error["type"] != "json_invalid":
        return "the file is JSON, but no tokenizer: it has no model", "name the tokenizer.json beside it"
    if data.lstrip().startswith(b"{"):
        return "the file is damaged: it is not whole JSON", "download it once more"
    return "the file is not JSON", "name the model's tokenizer.json"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _read(name: str, most: int) -> bytes:
    try:
        with Path(name).open("rb") as file:
            data = file.read(most + 1)
    except IsADirectoryError:
        raise UnusableFileError("is a directory", "name the file in it") from None
    except FileNotFoundError:
        raise _MissingError("there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise _MissingError(f"the file cannot be read: {reason.lower()}") from None
    if len(data) > most:
        raise UnusableFileError(f"the file is larger than {most >> 20} MiB")
    return data
