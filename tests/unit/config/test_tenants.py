"""What tenants may use, compared with what there is."""

from typing import Any

import pytest

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.plain import read
from proxy.config.tenants import class_findings, model_findings, tenant_findings
from proxy.model.classes import ClassSettings
from proxy.model.fallback import ModelSettings
from proxy.model.tenants import TenantSettings


def entry(**options: Any) -> TenantSettings:
    return read(TenantSettings, {"tenant": "*", **options})


def found(
    *patterns: str, served: set[str] | None = None, default: str | None = None, fallbacks: Any = (), classes: Any = ()
) -> list[Finding]:
    models = [read(ModelSettings, m) for m in fallbacks]
    of_classes = [read(ClassSettings, c) for c in classes]
    return list(model_findings([entry(models=list(patterns))], served, default, models, of_classes))


def test_a_pattern_that_fits_nothing_warns_and_nothing_at_all_is_an_error() -> None:
    (some,) = found("a", "bb", served={"a", "b"})
    assert (some.path, some.severity) == (("tenants", 0, "models", 1), Severity.WARNING)
    none = found("x", "y*", served={"a", "b"})
    assert {f.severity for f in none} == {Severity.ERROR}
    assert "nothing is left for it" in none[0].message
    assert found("x", served=None) == []


def test_its_own_fallback_is_left_out() -> None:
    large = {"name": "large", "fallback": {"model": "small"}}
    (told,) = found("large", fallbacks=[large])
    assert told.message == 'leaves out "small", the fallback of "large": for this tenant there is none'
    assert found("large", "sm*", fallbacks=[large]) == []
    assert found("other", fallbacks=[large]) == []


def test_the_fallback_of_a_class_and_the_default_model_are_left_out() -> None:
    chat = {"name": "chat", "fallback": {"model": "small"}}
    told = found("large", default="medium", classes=[chat])
    assert ['"medium"' in told[0].message, '"small"' in told[1].message] == [True, True]
    assert {f.severity for f in told} == {Severity.WARNING}


def test_a_limit_of_a_model_that_nobody_serves() -> None:
    limited = entry(limits=[{"model": "x", "max_streams": 1}, {"model": "a*", "max_streams": 1}])
    (told,) = model_findings([limited], {"a1"}, None, (), ())
    assert (told.path, told.severity) == (("tenants", 0, "limits", 0, "model"), Severity.WARNING)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"highest_class": "bulk"}, None),
        ({"highest_class": "blk"}, ("highest_class",)),
        ({"limits": [{"max_streams": 1}, {"class": "chat", "max_streams": 1}]}, ("limits", 1, "class")),
    ],
)
def test_classes_that_there_are_not(options: dict[str, Any], path: tuple[str | int, ...] | None) -> None:
    told = list(class_findings([entry(**options)], frozenset({"interactive", "bulk"})))
    assert [f.path for f in told] == ([] if path is None else [("tenants", 0, *path)])


ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.mark.parametrize(
    ("tenants", "path"),
    [
        ([{"tenant": "a", "keys": [ONE]}, {"tenant": "b", "keys": [TWO]}], None),
        ([{"tenant": "a"}, {"tenant": "a"}], (1, "tenant")),
        ([{"tenant": "a", "keys": [ONE]}, {"tenant": "b", "keys": [TWO, ONE]}], (1, "keys", 1, "digest")),
        ([{"tenant": "a", "keys": [ONE, "1" * 64]}], (0, "keys", 1, "digest")),
        ([{"tenant": "a", "keys": [{"id": "x", "digest": ONE}, {"id": "x", "digest": TWO}]}], (0, "keys", 1, "id")),
        ([{"tenant": "*", "keys": [ONE]}], (0, "keys")),
    ],
)
def test_entries_that_contradict_each_other(tenants: list[dict[str, Any]], path: tuple[str | int, ...] | None) -> None:
    told = list(tenant_findings([read(TenantSettings, one) for one in tenants]))
    assert [f.path for f in told] == ([] if path is None else [("tenants", *path)])
