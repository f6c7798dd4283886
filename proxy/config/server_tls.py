"""TLS towards clients: the options, the context that they make, and what is wrong with a certificate or its key.

Owns the words for it. Reads the files anew each time; keeps nothing of a key.
"""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from pydantic import Field

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.plain import Settings
from proxy.config.written import PemFile

ALPN: Final = ("http/1.1",)
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_MAX_B: Final = 1 << 20
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


class ServerTlsSettings(Settings):
    """TLS towards clients, on the port where they connect. Without `cert` it speaks plain HTTP."""

    cert: PemFile | None = None
    """PEM file of the certificate, followed by those between it and its authority. Read anew when it changes."""
    key: PemFile | None = None
    """PEM file of its private key, not encrypted. null: it stands in `cert`."""
    min_version: Literal["1.2", "1.3"] = Field(default="1.2")
    """Oldest version of TLS that clients may speak."""
    admin: bool = False
    """The admin port speaks TLS too, with the same certificate."""


class UnusableTlsError(Exception):
    """Why there can be no TLS; `option` is to blame."""

    def __init__(self, option: Literal["cert", "key"], message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.option, self.message, self.hint = option, message, hint


def server_context(settings: ServerTlsSettings) -> ssl.SSLContext | None:
    """What clients are met with; None: plain HTTP. UnusableTlsError for files that cannot be used."""
    if settings.cert is None:
        return None
    key = settings.key or settings.cert
    _check_certificate(settings.cert)
    _check_key(key, "cert" if settings.key is None else "key")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = _VERSIONS[settings.min_version]
    made.set_alpn_protocols([*ALPN])
    try:
        made.load_cert_chain(settings.cert, key, password=_no_password)
    except ssl.SSLError as error:
        _refuse(error, "cert" if settings.key is None else "key")
    except (OSError, ValueError):
        raise UnusableTlsError("cert", "the files changed while they were read", "try again") from None
    return made


def certificate_ends(settings: ServerTlsSettings) -> float | None:
    """When the certificate is valid no more, seconds since 1970; None: there is none, or nobody knows."""
    ends = None if settings.cert is None else _fields(settings.cert).get("notAfter")
    return None if ends is None else float(ssl.cert_time_to_seconds(ends))


def server_tls_findings(settings: ServerTlsSettings, *, elsewhere: bool) -> Iterator[Finding]:
    """What is wrong with the files, and days on which the certificate is not valid. `elsewhere`: missing ones are only
    noted."""
    if settings.cert is None:
        if settings.key is not None or settings.admin:
            option = "admin" if settings.key is None else "key"
            yield Finding(("tls", option), "has no effect without tls.cert", "name the certificate", Severity.WARNING)
        return
    try:
        server_context(settings)
    except UnusableTlsError as error:
        is_noted = elsewhere and isinstance(error, _MissingError)
        severity = Severity.NOTE if is_noted else Severity.ERROR
        yield Finding(("tls", error.option), error.message, error.hint, severity)
        return
    yield from _days(settings.cert)


class _MissingError(UnusableTlsError):
    """It is not there, or may not be read: another machine may have it."""


class _EncryptedError(Exception):
    """The key wants a password."""


def _no_password() -> NoReturn:
    raise _EncryptedError


def _check_certificate(name: str) -> None:
    data = _read(name, "cert")
    if _CERTIFICATE in data:
        return
    if b"PRIVATE KEY-----" in data:
        raise UnusableTlsError("cert", "the file holds a private key and no certificate", "name the certificate")
    what = "the file is empty" if not data.strip() else "the file holds no PEM certificate"
    raise UnusableTlsError("cert", what, f"it has a line {_CERTIFICATE.decode()}")


def _check_key(name: str, option: Literal["cert", "key"]) -> None:
    data = _read(name, option)
    if b"PRIVATE KEY-----" not in data:
        hint = "name its file in tls.key" if option == "cert" else "it has a line -----BEGIN PRIVATE KEY-----"
        raise UnusableTlsError(option, "the file holds no private key", hint)
    if b"ENCRYPTED" in data:
        raise _encrypted(option)


def _encrypted(option: Literal["cert", "key"]) -> UnusableTlsError:
    hint = "decrypt it for this user alone: openssl pkey -in FILE -out FILE.plain"
    return UnusableTlsError(option, "the private key is encrypted, and nobody is here to type its password", hint)


def _refuse(error: ssl.SSLError, option: Literal["cert", "key"]) -> NoReturn:
    if error.reason == "KEY_VALUES_MISMATCH":
        raise UnusableTlsError(option, "the private key does not belong to the certificate", "take both from one pair")
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        raise UnusableTlsError("cert", f"is too weak: {error.reason.replace('_', ' ').lower()}", "make a new pair")
    raise UnusableTlsError("cert", "the certificate or its key is damaged", "copy them once more")


def _days(name: str) -> Iterator[Finding]:
    fields, now = _fields(name), time.time()
    ends, begins = fields.get("notAfter"), fields.get("notBefore")
    if ends and ssl.cert_time_to_seconds(ends) < now:
        yield Finding(("tls", "cert"), f"the certificate has expired ({ends})", "renew it", Severity.WARNING)
    if begins and ssl.cert_time_to_seconds(begins) > now:
        hint = "is the clock right?"
        yield Finding(("tls", "cert"), f"the certificate is not valid before {begins}", hint, Severity.WARNING)


def _fields(name: str) -> dict[str, Any]:
    """Of its first certificate, as far as this Python tells them."""
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    try:
        return dict(decode(name)) if decode is not None else {}
    except (ssl.SSLError, OSError, ValueError):
        return {}


def _read(name: str, option: Literal["cert", "key"]) -> bytes:
    try:
        with Path(name).open("rb") as file:
            data = file.read(_MAX_B + 1)
    except IsADirectoryError:
        raise UnusableTlsError(option, "is a directory", "name the file in it") from None
    except FileNotFoundError:
        raise _MissingError(option, "there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise _MissingError(option, f"the file cannot be read: {reason.lower()}") from None
    if len(data) > _MAX_B:
        raise UnusableTlsError(option, f"the file is larger than {_MAX_B >> 20} MiB")
    return data
