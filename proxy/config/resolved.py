"""A configuration as it is understood: every option with its value as it would be written, defaults filled in.

Owns what stands there in place of a secret, wherever one is.
"""

from collections.abc import Callable
from typing import Any, Final

import yaml
from pydantic import SecretStr

from proxy.config.schema import Config

MASKED: Final = "***"


def resolved(config: Config) -> str:
    """The effective file, YAML. Where no secret is masked in it, it means the same as the one that was read."""
    tree = tree_of(config, lambda _: MASKED)
    tree["include"] = None  # they stand in backends
    for backend in tree["backends"]:
        if not backend["url"].startswith("https:"):
            del backend["tls"]  # has no meaning there, and must not be written
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=1000)


def tree_of(config: Config, secret: Callable[[SecretStr], Any]) -> dict[str, Any]:
    """The same as groups and lists; `secret` says what stands for one."""
    written: dict[str, Any] = config.model_dump(mode="json", by_alias=True)
    _replace(written, config.model_dump(by_alias=True), secret)
    return written


def _replace(written: Any, values: Any, secret: Callable[[SecretStr], Any]) -> None:
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in pairs:
        if isinstance(value, SecretStr):
            written[key] = secret(value)
        elif isinstance(value, dict | list | tuple):
            _replace(written[key], value, secret)
