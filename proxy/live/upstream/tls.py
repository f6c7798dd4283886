"""TLS towards backends: the context of each, and what is wrong with a certificate that was refused.

Owns the words for it: whose certificate, why, and what to do. Names come from the certificate, shortened and printable.
"""

import ssl
from hashlib import sha256
from pathlib import Path
from typing import Any

from proxy.config.backend import TlsSettings

_EXPIRED = 10
_NOT_YET_VALID = 9
_SELF_SIGNED = 18
_UNKNOWN_ISSUER = frozenset({2, 19, 20, 21, 27})
_OTHER_NAME = frozenset({62, 64})
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
_TRUST = "put {} into `tls.ca_file`, or set `tls.verify: false`"
_TEXT_MAX = 64


class RefusedError(ssl.SSLCertVerificationError):
    """A certificate was refused; `shown`: its fields as `ssl` names them, empty where they cannot be read."""

    def __init__(self, error: ssl.SSLCertVerificationError, shown: dict[str, Any]) -> None:
        super().__init__(*error.args)
        self.verify_code = error.verify_code
        self.verify_message = error.verify_message
        self.shown = shown


class _Handshake(ssl.SSLObject):
    """Keeps what the engine has shown when it is refused: afterwards nobody can ask."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise RefusedError(error, _shown(getattr(self, "_sslobj", None))) from None


def context(settings: TlsSettings) -> ssl.SSLContext:
    """What one backend is verified by. OSError for a CA file that cannot be used."""
    made = ssl.create_default_context(cafile=settings.ca_file)
    made.sslobject_class = _Handshake
    if not settings.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def made_of(settings: TlsSettings) -> bytes:
    """A digest of all that decides what `context` makes. OSError as there."""
    authorities = b"" if settings.ca_file is None else Path(settings.ca_file).read_bytes()
    return sha256(b"%d %b" % (settings.verify, authorities)).digest()


def reason(error: ssl.SSLError, host: str) -> str:
    """Why there is no TLS to `host`, and what to do."""
    if isinstance(error, RefusedError):
        return _refusal(error, host)
    if error.reason in _NO_TLS:
        return "it does not speak TLS there; is its url http://?"
    return f"TLS failed: {_safe((error.reason or 'no reason given').replace('_', ' ').lower())}"


def _refusal(error: RefusedError, host: str) -> str:
    shown, code = error.shown, error.verify_code
    subject = f"its certificate ({_name(shown.get('subject')) or 'without a name'})"
    if code == _EXPIRED:
        return f"{subject} expired on {_safe(shown.get('notAfter', 'a day past'))}; renew it"
    if code == _NOT_YET_VALID:
        return f"{subject} is not valid before {_safe(shown.get('notBefore', 'a day to come'))}; are the clocks right?"
    if code == _SELF_SIGNED:
        return f"{subject} is self-signed; {_TRUST.format('it')}"
    if code in _UNKNOWN_ISSUER:
        issuer = _name(shown.get("issuer")) or "its issuer"
        return f"{subject} is issued by {issuer}, unknown here; {_TRUST.format('that authority')}"
    if code in _OTHER_NAME:
        names = _safe(", ".join(_names(shown))) or "no name at all"
        return f"its certificate is for {names}, not for {host}; use a name it has in `url`, or set `tls.verify: false`"
    return f"{subject} was refused: {_safe(error.verify_message)}"


def _shown(handshake: Any) -> dict[str, Any]:
    """The engine's own certificate. Until Python 3.13 only the inner object tells what was not verified."""
    chain = handshake.get_unverified_chain() if hasattr(handshake, "get_unverified_chain") else None
    return dict(chain[0].get_info()) if chain else {}


def _names(shown: dict[str, Any]) -> list[str]:
    """What a certificate is for."""
    return [name for _, name in shown.get("subjectAltName", ())] or list(filter(None, [_name(shown.get("subject"))]))


def _name(parts: Any) -> str:
    """The common name of a subject or an issuer, else its organisation."""
    fields = dict(pair for part in parts or () for pair in part)
    return _safe(fields.get("commonName") or fields.get("organizationName") or "")


def _safe(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:_TEXT_MAX]).strip()
