"""Options in the place where they stood before."""

from pathlib import Path

import pytest

from proxy.config.loader import load_text
from proxy.config.secrets import SecretSource

HEAD = "version: 1\nbackends: [{url: http://a}]\n"
BELOW = HEAD + "routing:\n  bulk_tokens: 7\n  tenants:\n    - {tenant: abcdef01, max_concurrent: 2}\n"


def told(text: str) -> list[str]:
    found = load_text(text, "f", SecretSource({}, Path("/nowhere"))).diagnostics
    return [f"{d.line}:{d.column}: {d.severity}: {d.path}: {d.message}" for d in found]


def test_tenants_are_read_below_routing_too() -> None:
    loaded = load_text(BELOW, "f", SecretSource({}, Path("/nowhere")))
    assert loaded.config is not None
    assert [(entry.tenant, entry.max_concurrent) for entry in loaded.config.tenants] == [("abcdef01", 2)]
    assert loaded.config.routing.bulk_tokens == 7
    assert loaded.config.scheduling().tenants == loaded.config.tenants
    assert told(BELOW) == ["5:3: warning: tenants: stands below routing, its older place"]


def test_what_is_wrong_there_has_its_place_in_the_file() -> None:
    wrong = told(BELOW.replace("max_concurrent: 2", "max_concurrent: 0"))
    assert "6:42: error: tenants[0].max_concurrent: must be at least 1" in wrong


def test_both_places_are_one_too_many() -> None:
    assert "5:3: error: routing.tenants: unknown key" in told(BELOW + "tenants: [{tenant: '*'}]\n")


@pytest.mark.parametrize("text", ["", "[]", "version: 1\n", HEAD + "routing: x\n", HEAD + "routing: {}\n", HEAD])
def test_nothing_is_moved_where_there_is_nothing(text: str) -> None:
    assert not any("older place" in line for line in told(text))
