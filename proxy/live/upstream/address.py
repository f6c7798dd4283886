"""Where a backend is, and how patient we are with it."""

import ssl
from dataclasses import dataclass, field

from proxy.config.backend import BackendOptions
from proxy.live.upstream import tls
from proxy.model.limits import UpstreamLimits


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """Times in seconds."""

    name: str
    host: str
    port: int
    authority: bytes
    """The `Host` header."""
    prefix: str
    """Path before `/v1`, without a trailing slash."""
    api_key: str | None
    tls: ssl.SSLContext | None = field(compare=False)
    connect_s: float
    first_byte_s: float | None
    """None: as long as whoever asks is willing to wait."""
    idle_s: float
    keepalive_s: float
    socket: str = ""
    """Path of a Unix socket; empty: it is reached by host and port."""
    ip: str = ""
    """Where to connect instead of looking `host` up; empty: it is looked up."""
    tls_made_of: bytes = b""
    """What `tls` is made of, as a digest: two that are made of the same are the same."""


def address_of(config: BackendOptions, limits: UpstreamLimits) -> SocketAddress:
    """Of one backend: what it says of itself, else what holds for all. OSError or ssl.SSLError for a CA file that can
    not be used."""
    url = config.address
    default_port = 443 if url.scheme == "https" else 80
    host = f"[{url.host}]" if ":" in url.host else url.host
    return SocketAddress(
        name=config.name,
        host=url.host,
        port=url.port,
        authority=(host if url.socket or url.port == default_port else f"{host}:{url.port}").encode(),
        socket=url.socket,
        ip=config.ip or "",
        prefix=url.prefix,
        api_key=config.api_key.get_secret_value() if config.api_key else None,
        tls=tls.context(config.tls) if url.scheme == "https" else None,
        tls_made_of=tls.made_of(config.tls) if url.scheme == "https" else b"",
        connect_s=limits.connect if config.connect is None else config.connect,
        first_byte_s=limits.first_byte if config.first_byte is None else config.first_byte,
        idle_s=limits.idle if config.idle is None else config.idle,
        keepalive_s=limits.keepalive,
    )
