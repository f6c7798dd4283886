"""Options of stages and checks that have no effect."""

import pytest

from proxy.config.diagnostics import Severity
from proxy.config.pipeline import pipeline_findings
from proxy.model.classes import ClassSettings
from proxy.model.structured import ValidateSettings


@pytest.mark.parametrize(
    ("validate", "found"),
    [
        (ValidateSettings(), 0),
        (ValidateSettings(answers=True), 0),
        (ValidateSettings(answers=True, repair=True), 0),
        (ValidateSettings(repair=True), 1),
    ],
)
def test_repairs_of_what_is_not_checked(validate: ValidateSettings, found: int) -> None:
    findings = list(pipeline_findings((ClassSettings(name="c", validate_=validate),), ()))
    assert [finding.path for finding in findings] == [("classes", 0, "validate", "repair")] * found
    assert {finding.severity for finding in findings} <= {Severity.WARNING}


def test_stages_that_nobody_can_report() -> None:
    findings = pipeline_findings((), ("retrieval", "queue", "total", "mine", "unattributed", "other"))
    assert [finding.path for finding in findings] == [("stages", "unattributed"), ("stages", "other")]
