"""What a check across options found: a path, never a place in a file."""

from dataclasses import dataclass

from proxy.config.diagnostics import Severity
from proxy.config.options import OptionPath


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule."""

    path: OptionPath
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
