"""`host:port` of a listener. Owns its spelling; opens nothing and resolves nothing."""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, WithJsonSchema

from proxy.config.refusal import quoted, refusal

_MAX_PORT = 65535
_MAX_BYTE = 255
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_NUMBERS = re.compile(r"[0-9.]+", re.ASCII)
_SHORT_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){1,3}[0-9]{1,3}", re.ASCII)
"""As resolvers take it: 127.1 is 127.0.0.1."""
_EXAMPLES = "write host:port, such as 127.0.0.1:8080 or [::1]:8080"


class Address(NamedTuple):
    """Where a listener binds; port 0 lets the system choose."""

    host: str
    """A name, an IPv4 address, or an IPv6 address without brackets."""
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`"[::1]:8080"` → Address("::1", 8080). Raises a refusal for anything that is not host:port."""
    host, colon, port = text.rpartition(":")
    if "://" in text:
        raise refusal(f"{quoted(text)} is a URL; only its host and port are meant", _EXAMPLES)
    if not colon or (host.startswith("[") != host.endswith("]")):
        raise refusal(f"{quoted(text)} is not host:port", _EXAMPLES)
    return Address(parse_host(host), parse_port(port, lowest=0))


def parse_host(text: str) -> str:
    """A host name or address; the brackets of IPv6 are taken off."""
    if text.startswith("[") and text.endswith("]"):
        return _ipv6(text[1:-1])
    if ":" in text:
        raise refusal(f"the IPv6 address {quoted(text)} needs brackets", "write it like [::1]:8080")
    if not _HOST.fullmatch(text):
        raise refusal(f"{quoted(text)} is not a host name or address" if text else "the host is missing", _EXAMPLES)
    if _NUMBERS.fullmatch(text) and not (_SHORT_IPV4.fullmatch(text) and _last_fits(text)):
        raise refusal(f"{quoted(text)} is not an IPv4 address", _EXAMPLES)
    return text.lower()


def _last_fits(text: str) -> bool:
    *others, last = text.split(".")
    return len(others) < 3 or int(last) <= _MAX_BYTE


def parse_port(text: str, *, lowest: int) -> int:
    """A port number in ASCII digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_PORT))):
        raise refusal(f"{quoted(text)} is not a port number" if text else "the port is missing", _EXAMPLES)
    if not lowest <= int(text) <= _MAX_PORT:
        raise refusal(f"port {int(text)} is not between {lowest} and {_MAX_PORT}", _EXAMPLES)
    return int(text)


def _ipv6(text: str) -> str:
    try:
        if "%" not in text:  # a zone may hold anything, and means nothing on another machine
            return str(IPv6Address(text))
    except AddressValueError:
        pass
    raise refusal(f"{quoted(text)} is not an IPv6 address")


def _normalised(text: str) -> str:
    return str(parse_address(text))


ListenAddress = Annotated[
    str,
    AfterValidator(_normalised),
    WithJsonSchema({"type": "string", "pattern": r"^.+:[0-9]{1,5}$", "examples": ["127.0.0.1:8080", "[::1]:8080"]}),
]
"""`host:port`, normalised."""
