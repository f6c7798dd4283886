"""The configuration as a typed, frozen tree.

Composes the limits of `proxy.model.limits`, so that no default is written twice. Owns the groups and their names;
the rules across groups are in `checks`, lines and columns in `loader`.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from proxy.config.address import ListenAddress
from proxy.config.backend import Backend, ModelName, with_unique_names
from proxy.config.checks import cross_check
from proxy.config.diagnostics import Severity
from proxy.config.forwarded import ForwardedHeader
from proxy.config.refusal import refusal
from proxy.model.classes import ClassSettings
from proxy.model.limits import DrainSettings, HealthSettings, HoldSettings, Limits, RetrySettings, Settings

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
Policy = Literal["round_robin", "least_outstanding", "power_of_two"]

MAX_BACKENDS = 1024
_MAX_FORWARDED = 256


MAX_CLASSES = 32


def _unique_classes(classes: tuple[ClassSettings, ...]) -> tuple[ClassSettings, ...]:
    names = [entry.name for entry in classes]
    for name in names:
        if names.count(name) > 1:
            raise refusal(f"two classes are named {name}")
    return classes


class LogSettings(Settings):
    """Access lines go to standard output, the rest to standard error. Never a prompt, an answer or a key."""

    level: LogLevel = "info"
    """Least important level that is shown."""
    format: LogFormat = "text"
    """Lines for people, or one JSON object per line for machines."""
    access: bool = True
    """One line per request."""


class RoutingSettings(Settings):
    """Which backend gets a job."""

    policy: Policy = "least_outstanding"
    """`least_outstanding`: fewest jobs in flight. `power_of_two`: the better of two drawn at random. `round_robin`:
    each in turn."""
    default_model: ModelName | None = None
    """Model of a request that names none. null: the only model there is, else 400."""


class HeaderSettings(Settings):
    """Request headers on their way to the backend, which are forwarded by allow-list."""

    forward: Annotated[tuple[ForwardedHeader, ...], Field(max_length=_MAX_FORWARDED)] = ()
    """Request headers to forward beside the usual ones: names in lower case, or a prefix such as `x-sim-*`."""


def _whole_number(value: Any) -> Any:
    """To Python, and so to Literal, true and 1.0 are 1."""
    if isinstance(value, bool | float):
        raise refusal("must be 1")
    return value


class Config(Settings):
    """The whole configuration of one Tidegate."""

    model_config = ConfigDict(hide_input_in_errors=True, title="Tidegate configuration")

    version: Annotated[Literal[1], BeforeValidator(_whole_number)]
    """Version of this format."""
    listen: ListenAddress = "127.0.0.1:8080"
    """Where clients connect, host:port. Port 0 lets the system choose."""
    admin: ListenAddress = "127.0.0.1:9090"
    """Where /livez, /readyz and /metrics are. Keep it away from clients."""
    log: LogSettings = LogSettings()
    """What is logged."""
    backends: Annotated[
        tuple[Backend, ...], Field(min_length=1, max_length=MAX_BACKENDS), AfterValidator(with_unique_names)
    ]
    """The engines behind this proxy."""
    routing: RoutingSettings = RoutingSettings()
    """Which backend gets a job."""
    classes: Annotated[tuple[ClassSettings, ...], Field(max_length=MAX_CLASSES), AfterValidator(_unique_classes)] = ()
    """Traffic classes: kinds of requests that are treated alike."""
    limits: Limits = Limits()
    """All bounds on the data path."""
    retries: RetrySettings = RetrySettings()
    """Attempts on another backend."""
    hold: HoldSettings = HoldSettings()
    """Jobs that wait for a permit."""
    health: HealthSettings = HealthSettings()
    """Ejection and return of backends."""
    drain: DrainSettings = DrainSettings()
    """What happens on SIGTERM."""
    headers: HeaderSettings = HeaderSettings()
    """Request headers on their way to the backend."""

    @model_validator(mode="after")
    def _rules_across_groups(self) -> "Config":
        groups = {name: getattr(self, name) for name in type(self).model_fields}
        for finding in cross_check(groups, dict(enumerate(self.backends))):
            if finding.severity is Severity.ERROR:
                raise refusal(f"{'.'.join(map(str, finding.path))}: {finding.message}", finding.hint)
        return self
