"""What has no effect among the options of the pipeline around a model.

Owns the comparison; what stages and checks are stands in `model.timings` and `model.structured`.
"""

from collections.abc import Iterable, Iterator, Sequence

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.model.classes import ClassSettings
from proxy.model.timings import OTHER, UNATTRIBUTED


def pipeline_findings(classes: Sequence[ClassSettings], stages: Iterable[str]) -> Iterator[Finding]:
    """Repairs of what is not checked, and stages that nobody can report or measure."""
    for index, entry in enumerate(classes):
        if entry.validate_.repair and not entry.validate_.answers:
            path = ("classes", index, "validate", "repair")
            message = "has no effect: answers of this class are not checked"
            yield Finding(path, message, "write answers: true beside it", Severity.WARNING)
    for name in stages:
        if name in (UNATTRIBUTED, OTHER):
            message = "has no effect: it is what is left of the other stages"
            yield Finding(("stages", name), message, "name one of them, or total", Severity.WARNING)
