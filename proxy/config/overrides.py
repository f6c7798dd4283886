"""What the command line may say otherwise than the file. Owns the rule that it is checked in the same way."""

from dataclasses import replace

from proxy.config.checks import cross_check
from proxy.config.diagnostics import Severity
from proxy.config.options import shown
from proxy.config.schema import Config, LogFormat, LogLevel, WorkerCount
from proxy.model.auth import AuthMode


def with_overrides(
    config: Config,
    *,
    listen: str | None = None,
    admin: str | None = None,
    log_level: LogLevel | None = None,
    log_format: LogFormat | None = None,
    auth: AuthMode | None = None,
    workers: WorkerCount | None = None,
) -> Config:
    """The configuration with every given value in place of the file's. Raises ValueError when they do not fit."""
    log = config.log.model_copy(update=_given(level=log_level, format=log_format))
    who = config.auth if auth is None else replace(config.auth, mode=auth)
    changed = config.model_copy(update=_given(listen=listen, admin=admin, workers=workers) | {"log": log, "auth": who})
    groups = {name: getattr(changed, name) for name in Config.model_fields}
    for finding in cross_check(groups, dict(enumerate(changed.backends))):
        if finding.severity is Severity.ERROR:
            raise ValueError(f"{shown(finding.path)} {finding.message}; {finding.hint}")
    return changed


def _given(**values: str | int | None) -> dict[str, str | int]:
    return {name: value for name, value in values.items() if value is not None}
