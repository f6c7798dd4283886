"""The base URL of a backend. Owns its spelling: what people paste is understood, what could mislead is refused.

A request target always starts with `/v1/`, so a trailing `/v1` of the base URL is taken off here.
"""

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, WithJsonSchema

from proxy.config.address import parse_host, parse_port
from proxy.config.refusal import closest, quoted, refusal

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_CHARACTERS = 2048
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_ROUTES = ("chat/completions", "completions", "embeddings", "responses", "models")
_UNIX = "unix"
_SOCKET_PATH_MAX = 107
"""Bytes of `sun_path` on Linux, without the one that ends it."""
_NO_HOST = "localhost"
"""What the header Host says where there is no host."""
_EXAMPLE = "write it like http://127.0.0.1:8001"


@dataclass(frozen=True, slots=True)
class BackendUrl:
    """A base URL in parts."""

    scheme: str
    host: str
    """Without the brackets of IPv6."""
    port: int
    prefix: str
    """The path in front of `/v1/…`: empty, or starting with a slash and not ending in one."""
    socket: str = ""
    """Path of the Unix socket on which the engine listens, on this machine; empty: it is reached by host and port."""

    def __str__(self) -> str:
        if self.socket:
            return f"{_UNIX}:{self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.prefix}"


def parse_backend_url(text: str) -> BackendUrl:
    """`"http://GPU1:8001/v1/"` → http, gpu1, 8001, no prefix. Raises a refusal; its text never holds a password."""
    if "@" in text:  # before anything echoes a part of it
        raise refusal("must not hold a user name or password, nor any @", "put the key into api_key: ${NAME}")
    if text.lower().startswith(f"{_UNIX}:"):
        return BackendUrl("http", _NO_HOST, 0, "", _socket(text[len(_UNIX) + 1 :]))
    parts = _split(text)
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise refusal("must hold neither a query (?…) nor a fragment (#…)", "leave out what begins there")
    host, port = _host_and_port(parts.netloc, _DEFAULT_PORTS[parts.scheme])
    return BackendUrl(parts.scheme, host, port, _prefix(parts.path))


def _socket(path: str) -> str:
    """The path of `unix:/run/engine.sock`, in whichever of its usual spellings."""
    path = path.removeprefix("//")
    if not path.startswith("/") or path.endswith("/"):
        raise refusal("is not the path of a socket", f"an absolute one, such as {_UNIX}:/run/engine.sock")
    if not path.isascii() or not path.isprintable() or any(c in " ?#%" for c in path):
        raise refusal("the path of a socket must be printable ASCII without spaces, ?, # and %")
    if len(path) > _SOCKET_PATH_MAX:
        raise refusal(f"the path of a socket is longer than {_SOCKET_PATH_MAX} characters", "no system takes it")
    return path


def _split(text: str) -> SplitResult:
    if len(text) > _MAX_CHARACTERS:
        raise refusal(f"is longer than {_MAX_CHARACTERS} characters")
    if not text.isascii() or any(c.isspace() or not c.isprintable() for c in text):
        raise refusal("must be printable ASCII without spaces", "write an international host name in its xn-- form")
    if "," in text or text.count("://") > 1:
        raise refusal("is more than one URL", "each engine has an entry of backends of its own")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise refusal("has no scheme", f'did you mean "http://{text}"?' if _looks_like_host(text) else _EXAMPLE)
    if scheme.lower() not in _DEFAULT_PORTS:
        near = closest(scheme, _DEFAULT_PORTS)
        hint = f"did you mean {quoted(f'{near}://{rest}')}?" if near and _looks_like_host(rest) else _EXAMPLE
        raise refusal(f"unknown scheme {quoted(scheme)}; known: http, https, unix", hint)
    try:
        return urlsplit(text)
    except ValueError:  # unbalanced brackets; its text would echo the input
        raise refusal("is not a URL", _EXAMPLE) from None


def _looks_like_host(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._-]{1,64}(:[0-9]{1,5})?(/v1/?)?", text, re.ASCII) is not None


def _host_and_port(netloc: str, default_port: int) -> tuple[str, int]:
    host, colon, port = netloc.rpartition(":")
    if not colon or netloc.endswith("]"):
        return parse_host(netloc), default_port
    return parse_host(host), parse_port(port, lowest=1)


def _prefix(path: str) -> str:
    trimmed = path.rstrip("/")
    for route in _ROUTES:
        if trimmed.endswith(f"/v1/{route}"):
            raise refusal("is the URL of one route", f"give the base URL: leave /{route} out")
    segments = trimmed.split("/")[1:]
    if any(s in (".", "..") or not _SEGMENT.fullmatch(s) for s in segments):
        raise refusal(f"the path {quoted(path)} is not a plain prefix", "no empty, . or .. parts")
    if segments and segments[-1] == "v1":
        segments.pop()
    if segments and segments[-1] == "v1":
        raise refusal("ends in /v1 twice", "leave both out")
    return "".join(f"/{s}" for s in segments)


def _normalised(text: str) -> str:
    return str(parse_backend_url(text))


BaseUrl = Annotated[
    str,
    AfterValidator(_normalised),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^([hH][tT][tT][pP][sS]?://|[uU][nN][iI][xX]:/)[^\s?#@]+$",
            "examples": ["http://127.0.0.1:8001", "https://gpu1.example.com/engines/a", "unix:/run/engine.sock"],
        }
    ),
]
"""An http or https base URL, or `unix:` and the path of a socket, normalised."""
