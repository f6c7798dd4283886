"""Options of the export to a collector of OpenTelemetry: nothing is sent unless `endpoint` says where.

Owns what they may be.
"""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from proxy.config.backend_url import parse_backend_url
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.plain import Settings
from proxy.config.refusal import quoted, refusal
from proxy.config.secrets import SecretLine
from proxy.config.written import Duration, Percent

_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}"
_URL = r"https?://[^\s@?#]{1,1024}"
_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_OURS = frozenset({"content-encoding", "content-length", "content-type", "host", "transfer-encoding"})


def _endpoint(url: str) -> str:
    if not re.fullmatch(_URL, url) or "," in url or url.count("://") > 1:
        raise refusal("is not the URL of a collector, without a key", "write http://127.0.0.1:4318")
    parse_backend_url(url)
    for path in ("/v1/traces", "/v1/metrics"):
        if url.rstrip("/").endswith(path):
            raise refusal(f"must be without {path}", f"write {url.rstrip('/').removesuffix(path)}")
    return url


def _header(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise refusal(f"{quoted(name)} is not the name of a header", "write authorization")
    if name.lower() in _OURS:
        raise refusal(f"{name} is set by the exporter", "leave it out")
    return name.lower()


def _positive(value: float) -> float:
    if value <= 0:
        raise refusal("must be above 0", "write 5s, or leave endpoint out to switch it off")
    return value


def _share(value: float) -> float:
    if value > 1:
        raise refusal("is more than all of them", "write 100%")
    return value


Span = Annotated[Duration, AfterValidator(_positive)]


HeaderName = Annotated[str, Field(json_schema_extra={"pattern": f"^{_NAME}$"}), AfterValidator(_header)]


class TelemetrySettings(Settings):
    """Spans and the GenAI metrics of OpenTelemetry, sent to a collector. Needs `pip install 'tidegate[otel]'`."""

    endpoint: Annotated[str, Field(json_schema_extra={"pattern": f"^{_URL}$"}), AfterValidator(_endpoint)] | None = None
    """Base URL of a receiver of OTLP, such as `http://127.0.0.1:4318`. null: nothing is sent."""
    protocol: Literal["http/protobuf"] = "http/protobuf"
    """How it is sent, with gzip."""
    headers: Annotated[dict[HeaderName, SecretLine], Field(max_length=32)] = Field(default={})
    """Of every export, by name, such as `authorization: Bearer ${OTLP_TOKEN}`: by reference, `${NAME}` or
    `${file:PATH}`, which may be a part of it."""
    sampling: Annotated[Percent, AfterValidator(_share)] = 1.0
    """Share of the requests whose spans are sent. A client that sends `traceparent` decides for its own."""
    service_name: Annotated[str, Field(min_length=1, max_length=128)] = "tidegate"
    """`service.name` of all that is sent."""
    semconv: Literal["current", "legacy", "both"] = "current"
    """Names of metrics: those of the GenAI conventions v0.1.0, or the older ones (`gen_ai.client.operation.duration`,
    `gen_ai.client.token.usage`)."""
    interval: Span = 10.0
    """Between two exports of metrics. Spans are sent every second."""
    timeout: Span = 5.0
    """One export takes no longer. Nothing else waits for it."""


def telemetry_findings(telemetry: TelemetrySettings | None) -> Iterator[Finding]:
    """What is written as if anything were sent."""
    if telemetry is None:
        return
    if telemetry.endpoint is None and (written := sorted(_changed(telemetry) - {"endpoint"})):
        message = "has no effect: telemetry.endpoint says nowhere to send anything"
        hint = "write endpoint: http://127.0.0.1:4318, or leave it out"
        yield Finding(("telemetry", written[0]), message, hint, Severity.WARNING)
    for name, value in telemetry.headers.items():
        if value is None:
            yield Finding(("telemetry", "headers", name), "is empty", "set it, or leave the header out")


def _changed(telemetry: TelemetrySettings) -> set[str]:
    usual = TelemetrySettings()
    return {name for name in telemetry.model_fields_set if getattr(telemetry, name) != getattr(usual, name)}


def telemetry_package_findings(telemetry: TelemetrySettings | None) -> Iterator[Finding]:
    """It is wanted here, and cannot be."""
    if telemetry is not None and telemetry.endpoint is not None and not _is_installed():
        message = "needs the packages of OpenTelemetry, which are not installed"
        yield Finding(("telemetry", "endpoint"), message, "pip install 'tidegate[otel]'")


def _is_installed() -> bool:
    try:
        return all(find_spec(name) is not None for name in _PACKAGES)
    except (ImportError, ValueError):
        return False
