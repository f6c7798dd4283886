"""`tidegate diff`: exit codes and both forms of the answer."""

import json
from pathlib import Path

import pytest

from proxy.cli.main import main

BASE = "version: 1\nbackends:\n  - {url: 'http://127.0.0.1:1', name: a, seats: 4}\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(BASE)
    new.write_text(BASE)
    return old, new


def run(*arguments: object) -> int:
    return main(["diff", *map(str, arguments)])


def test_the_same(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    files[1].write_text("# said otherwise\n" + BASE + "listen: 127.0.0.1:8080\n")
    assert run(*files) == 0
    assert run(*files, "--json") == 0
    assert capsys.readouterr().out == "[]\n"


def test_different(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    files[1].write_text(BASE.replace("seats: 4", "seats: 8") + "admin: 127.0.0.1:9\n")
    assert run(*files) == 1
    assert capsys.readouterr().out.splitlines() == [
        "~ admin: 127.0.0.1:9090 → 127.0.0.1:9   (restart needed)",
        "~ backends[a].seats: 4 → 8",
    ]
    assert run(*files, "--json") == 1
    assert json.loads(capsys.readouterr().out)[1] == {
        "kind": "changed",
        "path": "backends[a].seats",
        "old": 4,
        "new": 8,
        "restart": False,
    }


def test_wrong(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    files[1].write_text(BASE + "listne: 1\n")
    assert run(*files) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f'{files[1]}:4:1: listne: unknown key; did you mean "listen"?' in told.err
    assert run(files[0], files[0].with_name("nothing")) == 2
