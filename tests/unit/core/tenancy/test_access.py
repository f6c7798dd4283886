"""Which models a tenant may ask for."""

import pytest

from proxy.core.tenancy.access import Patterns, Permitted, may_use
from proxy.model.tenants import TenantSettings


def entry(tenant: str, *models: str) -> TenantSettings:
    return TenantSettings(tenant=tenant, models=models or None)


def test_nobody_is_restricted() -> None:
    assert Permitted().of("aaaaaaaa") is None
    assert Permitted([entry("aaaaaaaa"), entry("*")]).of("aaaaaaaa") is None


def test_an_entry_of_its_own_stands_instead_of_the_one_for_the_others() -> None:
    found = Permitted([entry("aaaaaaaa", "m"), entry("bbbbbbbb"), entry("*", "public-*")])
    assert found.of("aaaaaaaa") == ("m",)
    assert found.of("bbbbbbbb") is None
    assert found.of("cccccccc") == found.of("") == ("public-*",)


@pytest.mark.parametrize(
    ("patterns", "model", "may"),
    [
        (None, "m", True),
        (("m",), "m", True),
        (("m",), "mm", False),
        (("qwen3-*", "m"), "qwen3-8b", True),
        (("qwen3-*", "m"), "qwen", False),
        (("*",), "anything", True),
    ],
)
def test_names_and_beginnings(patterns: Patterns, model: str, may: bool) -> None:
    assert may_use(patterns, model) is may


def test_a_model_is_permitted_under_any_of_its_names() -> None:
    assert may_use(("llama",), "llama:latest", ("llama",))
    assert may_use(("lla*",), "LLAMA", ("llama:latest",))
    assert not may_use(("llama",), "llama:1b", ())
    assert not may_use((), "llama", ("llama:latest",))
