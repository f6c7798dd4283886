"""What an earlier build compiled is taken for the very same source, and for no other."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.deploy.compiled import of_setup

OPTIONS = {"output_dir": "out", "extra_postargs": ["-O1"], "debug": None}
SOURCE, HEADER, MADE = Path("build/a.c"), Path("build/a.h"), Path("out/build/a.o")


KEPT = of_setup()["_Objects"]


def kept_by(compiler: str = "true") -> Any:
    """A build of today, with a compiler that says nothing of itself."""
    return KEPT(SimpleNamespace(compiler_so=[compiler]))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a clone that has built once."""
    monkeypatch.chdir(tmp_path)
    SOURCE.parent.mkdir()
    SOURCE.write_text("int a;")
    HEADER.write_text("int b;")
    kept = kept_by()
    assert not kept.give(str(SOURCE), OPTIONS, str(MADE))
    MADE.parent.mkdir(parents=True)
    MADE.write_bytes(b"object")
    kept.keep(str(MADE))
    kept.forget_others()
    MADE.unlink()


def test_the_same_is_taken() -> None:
    assert kept_by().give(str(SOURCE), OPTIONS, str(MADE))
    assert MADE.read_bytes() == b"object"


def test_another_source_is_compiled() -> None:
    SOURCE.write_text("int a2;")
    assert not kept_by().give(str(SOURCE), OPTIONS, str(MADE))


def test_another_header_is_too() -> None:
    HEADER.write_text("int b2;")
    assert not kept_by().give(str(SOURCE), OPTIONS, str(MADE))


def test_other_flags_are_too() -> None:
    assert not kept_by().give(str(SOURCE), {**OPTIONS, "extra_postargs": ["-O3"]}, str(MADE))


def test_another_compiler_is_too() -> None:
    assert not kept_by("echo").give(str(SOURCE), OPTIONS, str(MADE))


def test_what_newer_source_does_not_need_is_forgotten() -> None:
    before = set(Path("build/objects").iterdir())
    SOURCE.write_text("int a2;")
    kept = kept_by()
    kept.give(str(SOURCE), OPTIONS, str(MADE))
    MADE.write_bytes(b"newer")
    kept.keep(str(MADE))
    kept.forget_others()
    after = set(Path("build/objects").iterdir())
    assert (len(before), len(after), before & after) == (1, 1, set())


def test_a_build_that_had_nothing_to_do_forgets_nothing() -> None:
    kept_by().forget_others()
    assert kept_by().give(str(SOURCE), OPTIONS, str(MADE))
