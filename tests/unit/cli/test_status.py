"""`tidegate status` against a port that answers as told."""

import json
from collections.abc import Iterator

import pytest

from proxy.cli.main import main
from tests.support.admin_port import AdminPort, admin_port
from tests.unit.report.screen.documents import status


@pytest.fixture
def admin() -> Iterator[AdminPort]:
    with admin_port() as port:
        yield port


def run(admin: AdminPort, told: object, *arguments: str, code: int = 200) -> int:
    """One command, answered so."""
    admin.answers = [(code, told)]
    return main(["status", "--admin", admin.url, *arguments])


def test_ready_is_0_and_shown_without_escapes(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(admin, status()) == 0
    told = capsys.readouterr()
    assert told.out.startswith("tidegate  ready ")
    assert "\x1b" not in told.out
    assert all(line == line.rstrip() for line in told.out.splitlines())
    assert told.err == ""


def test_not_ready_is_1_and_shown(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(admin, status(not_ready="starting")) == 1
    assert "not ready: starting" in capsys.readouterr().out


def test_json_is_the_document(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    document = status(schema=7, something_new={"a": [1]}, not_ready="draining")
    assert run(admin, document, "--json") == 1
    assert json.loads(capsys.readouterr().out) == document


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        (b"<html>", 200, "it is no Tidegate that answers at"),
        ([], 200, "it is no Tidegate that answers at"),
        ({"status": "ok"}, 200, "it is no Tidegate that answers at"),
        ({"schema": True, "classes": {}, "instance": "x"}, 200, "it is no Tidegate"),
        (status(schema=2), 200, "is newer than this program"),
        ({"error": "This port asks for its admin_key."}, 401, "TIDEGATE_ADMIN_KEY says it"),
        ({"error": {"message": "no such path"}}, 404, "it answered 404: no such path"),
        (b"", 500, "it answered 500"),
    ],
)
def test_what_is_no_status_is_said(
    admin: AdminPort, capsys: pytest.CaptureFixture[str], told: object, code: int, words: str
) -> None:
    assert run(admin, told, code=code) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tidegate status: ")
    assert words in err
