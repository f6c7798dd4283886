"""The backends of one proxy: configuration turned into pools, dialects and ready-made request heads."""

import asyncio
import ssl

from proxy.config.backend import Backend as BackendConfig
from proxy.config.schema import Config
from proxy.engines.dialect import DIALECTS, UNKNOWN, Dialect
from proxy.live.upstream import Address, Pool
from proxy.live.watch import Watch
from proxy.model.limits import UpstreamLimits


class Backend:
    """One engine as the live side knows it."""

    def __init__(
        self, config: BackendConfig, limits: UpstreamLimits, loop: asyncio.AbstractEventLoop, watch: Watch
    ) -> None:
        address = _address(config, limits)
        self.name = config.name
        self.pool = Pool(address, loop, watch)
        self.dialect: Dialect = DIALECTS.get(config.kind, UNKNOWN)
        self.kind_known = config.kind != "auto"
        self._prefix = address.prefix.encode()
        self._host_line = b" HTTP/1.1\r\nhost: " + address.authority + b"\r\n"
        self._key_line = None if address.api_key is None else f"authorization: Bearer {address.api_key}\r\n".encode()

    def message(
        self, method: str, target: str, request_id: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> bytes:
        """A whole request in one piece. The configured key replaces whatever key the client sent."""
        parts = [method.encode(), b" ", self._prefix, target.encode(), self._host_line]
        key_line = self._key_line
        if key_line is not None:
            parts.append(key_line)
        for name, value in headers:
            if key_line is not None and name.lower() in (b"authorization", b"x-api-key"):
                continue
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"x-request-id: %b\r\n" % request_id.encode())
        if body or method != "GET":
            parts.append(b"content-length: %d\r\n" % len(body))
        parts += (b"\r\n", body)
        return b"".join(parts)


def build(config: Config, loop: asyncio.AbstractEventLoop, watch: Watch) -> dict[str, Backend]:
    """All backends by name. Raises OSError or ssl.SSLError for a CA file that cannot be used."""
    return {backend.name: Backend(backend, config.limits.upstream, loop, watch) for backend in config.backends}


def _address(config: BackendConfig, limits: UpstreamLimits) -> Address:
    url = config.address
    default_port = 443 if url.scheme == "https" else 80
    host = f"[{url.host}]" if ":" in url.host else url.host
    return Address(
        name=config.name,
        host=url.host,
        port=url.port,
        authority=(host if url.port == default_port else f"{host}:{url.port}").encode(),
        prefix=url.prefix,
        api_key=config.api_key.get_secret_value() if config.api_key else None,
        tls=_tls(config) if url.scheme == "https" else None,
        connect_s=_first(config.connect, limits.connect),
        first_byte_s=_first(config.first_byte, limits.first_byte),
        idle_s=_first(config.idle, limits.idle),
        keepalive_s=limits.keepalive,
    )


def _first(override: float | None, common: float) -> float:
    return common if override is None else override


def _tls(config: BackendConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.tls.ca_file)
    if not config.tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
