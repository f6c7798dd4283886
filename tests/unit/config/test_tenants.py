"""What tenants may use, compared with what there is."""

from typing import Any

import pytest

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.plain import read
from proxy.config.tenants import tenant_findings, weight_findings
from proxy.model.classes import ClassSettings
from proxy.model.fallback import ModelSettings
from proxy.model.tenants import TenantSettings


def found(
    *patterns: str, served: set[str] | None = None, default: str | None = None, fallbacks: Any = (), classes: Any = ()
) -> list[Finding]:
    entry = read(TenantSettings, {"tenant": "*", "models": list(patterns)})
    models = [read(ModelSettings, m) for m in fallbacks]
    return list(tenant_findings([entry], served, default, models, [read(ClassSettings, c) for c in classes]))


def test_a_pattern_that_fits_nothing_warns_and_nothing_at_all_is_an_error() -> None:
    (some,) = found("a", "bb", served={"a", "b"})
    assert (some.path[-2:], some.severity) == (("models", 1), Severity.WARNING)
    none = found("x", "y*", served={"a", "b"})
    assert {f.severity for f in none} == {Severity.ERROR}
    assert "nothing is left for it" in none[0].message
    assert found("x", served=None) == []


def test_its_own_fallback_is_left_out() -> None:
    entry = {"name": "large", "fallback": {"model": "small"}}
    (told,) = found("large", fallbacks=[entry])
    assert told.message == 'leaves out "small", the fallback of "large": for this tenant there is none'
    assert found("large", "sm*", fallbacks=[entry]) == []
    assert found("other", fallbacks=[entry]) == []


def test_the_fallback_of_a_class_and_the_default_model_are_left_out() -> None:
    chat = {"name": "chat", "fallback": {"model": "small"}}
    told = found("large", default="medium", classes=[chat])
    assert ['"medium"' in told[0].message, '"small"' in told[1].message] == [True, True]
    assert {f.severity for f in told} == {Severity.WARNING}


@pytest.mark.parametrize(
    ("tenant", "hint"),
    [("team-a", "sha256sum"), ("*", "leave it out"), ("ABCDEF01", "abcdef01"), ("abcdef012", "sha256sum")],
)
def test_weights_of_what_is_no_tenant(tenant: str, hint: str) -> None:
    (told,) = weight_findings([tenant, "abcdef01"])
    assert told.path == ("routing", "fairness", "weights", tenant)
    assert hint in told.hint
