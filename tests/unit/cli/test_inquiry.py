"""Commands that find the admin port in the configuration: its key goes along, and what it answers is told as it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli.main import main
from tests.support.admin_port import AdminPort, admin_port

KEY = "key-of-the-admin-port-0123456789"
TOLD = {"slos": [], "backends": {}, "requests": 0, "looked_at": 0, "findings": [], "silent": []}
"""Whatever is asked."""
COMMANDS = (("slo", "status"), ("backends",), ("prefix", "report"))


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminPort]:
    monkeypatch.delenv("TIDEGATE_ADMIN_KEY", raising=False)
    with admin_port() as port:
        port.key, port.answers = KEY, [(200, TOLD)]
        yield port


@pytest.mark.parametrize("command", COMMANDS)
def test_the_key_in_the_configuration_goes_along(command: tuple[str, ...], guarded: AdminPort, tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(
        f"version: 1\nadmin: {guarded.address}\nadmin_key: {KEY}\nauth: none\nbackends: [{{name: a, url: http://127.0.0.1:1}}]\n"
    )
    assert main([*command, str(file)]) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_port_that_refuses_has_answered(
    command: tuple[str, ...], guarded: AdminPort, capsys: pytest.CaptureFixture[str]
) -> None:
    url = guarded.url
    assert main([*command, "--admin", url]) == 1
    words = "it answered 401: This port asks for its admin_key. TIDEGATE_ADMIN_KEY says it."
    assert capsys.readouterr().err == f"tidegate {command[0]}: {url}: {words}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_key_in_the_environment(
    command: tuple[str, ...], guarded: AdminPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_ADMIN_KEY", KEY)
    assert main([*command, "--admin", guarded.url]) == 0
