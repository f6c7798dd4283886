"""The operational log: one form for every line, whoever says it; nothing that is logged can raise or wait."""

import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.obs import logs as module
from proxy.obs.log_file import Descriptor
from proxy.obs.logs import Files, Logs
from tests.support.patience import eventually

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Lines:
    """Stands for a writer: what was offered."""

    made: "list[Lines]"

    def __init__(self, to: Descriptor, lost_line: Callable[[int], bytes], tell: object = None) -> None:
        self.fd, self.lost_line, self.lost = to.fd, lost_line, 0
        self.offered: list[bytes] = []
        Lines.made.append(self)

    def offer(self, lines: bytes) -> None:
        self.offered.append(lines)

    def close(self, within_s: float) -> None:
        self.offered.append(b"closed")


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, hooks: None) -> Callable[[str, str], Lines]:
    """Makes the logs of this process, and gives back what standard error would get."""
    Lines.made = []
    monkeypatch.setattr(module, "LineWriter", Lines)

    def made(level: str, form: str) -> Lines:
        Logs(level, form)
        return next(lines for lines in Lines.made if lines.fd == 2)

    return made


@pytest.fixture
def hooks() -> Iterator[None]:
    """What logs change in a process is changed back."""
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level)


def crash() -> None:
    raise ValueError("odd \ud800 text")


def test_text_has_the_time_of_the_access_log(make: Callable[[str, str], Lines]) -> None:
    lines = make("info", "text")
    logging.getLogger("tidegate.x").warning("backend %s is down", "a")
    assert re.fullmatch(STAMP + r" WARNING tidegate\.x backend a is down\n", lines.offered[0].decode())


def test_json_lines_say_who_and_how_bad(make: Callable[[str, str], Lines]) -> None:
    lines = make("info", "json")
    logging.getLogger("tidegate.x").error("backend %s is down", "a\nb")
    told = json.loads(lines.offered[0])
    assert re.fullmatch(STAMP, told.pop("time"))
    assert told == {"level": "error", "logger": "tidegate.x", "message": "backend a\nb is down"}
    assert lines.offered[0].count(b"\n") == 1


def test_what_python_itself_would_print_is_a_line_too(make: Callable[[str, str], Lines]) -> None:
    lines = make("info", "json")
    warnings.showwarning("old", UserWarning, "file.py", 1)
    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    try:
        crash()
    except ValueError:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    told = [json.loads(line) for line in lines.offered]
    assert [line["level"] for line in told] == ["warning", "error", "critical"]
    assert "ValueError" in told[1]["traceback"]
    assert all(line.count(b"\n") == 1 for line in lines.offered)


def test_a_finaliser_that_fails(make: Callable[[str, str], Lines]) -> None:
    class Broken:
        def __del__(self) -> None:
            crash()

    lines = make("info", "json")
    Broken()
    assert "ValueError" in json.loads(lines.offered[0])["traceback"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_that_does_not_fit_its_arguments(make: Callable[[str, str], Lines], form: str) -> None:
    lines = make("info", form)
    logging.getLogger("tidegate.x").warning("%d files", "many")
    assert b"cannot be formatted" in lines.offered[0]


@pytest.mark.parametrize("form", ["text", "json"])
def test_odd_text_is_shown_escaped(make: Callable[[str, str], Lines], form: str) -> None:
    lines = make("info", form)
    logging.getLogger("tidegate.x").warning("a lone \ud800")
    assert b"ud800" in lines.offered[0]


@pytest.mark.parametrize("form", ["text", "json"])
def test_where_it_listens_is_said_at_every_level(make: Callable[[str, str], Lines], form: str) -> None:
    lines = make("error", form)
    logs = Logs("error", form)
    lines = next(made for made in reversed(Lines.made) if made.fd == 2)
    logging.getLogger("tidegate").info("too quiet")
    logs.say("listening on http://127.0.0.1:8080")
    assert len(lines.offered) == 1
    assert b"listening on http://127.0.0.1:8080" in lines.offered[0]


@pytest.mark.parametrize("form", ["text", "json"])
def test_lost_lines_are_a_warning(make: Callable[[str, str], Lines], form: str) -> None:
    line = make("info", form).lost_line(7)
    assert line.endswith(b"\n")
    if form == "json":
        told = json.loads(line)
        assert (told["level"], told["dropped_log_lines"]) == ("warning", 7)
    else:
        assert re.fullmatch(STAMP + r" WARNING tidegate dropped_log_lines=7\n", line.decode())


def test_both_logs_are_closed_and_counted(make: Callable[[str, str], Lines]) -> None:
    logs = Logs("info", "text")
    for made in Lines.made:
        made.lost = made.fd
    assert logs.lost() == {"access": 1, "operational": 2}
    logs.close()
    assert all(made.offered[-1] == b"closed" for made in Lines.made)


def test_files_have_a_writer_each_and_are_opened_anew(tmp_path: Path, hooks: None) -> None:
    """No stand-in: what is said of a file that cannot be written comes out of the operational log."""
    access, rows = tmp_path / "access.log", tmp_path / "gone" / "rows.csv"
    logs = Logs("info", "json", Files(str(access), str(rows), 0, 3))
    seen: list[logging.LogRecord] = []
    watcher = logging.Handler()
    watcher.emit = seen.append  # type: ignore[method-assign]
    logging.getLogger("tidegate.log").addHandler(watcher)
    try:
        assert logs.csv is not None
        logs.csv.offer(b"a,b\n")
        eventually(lambda: logs.lost()["csv"] == 1, "the lost row")
        eventually(lambda: access.exists(), "a file although nothing was written")
        rows.parent.mkdir()
        logs.csv.offer(b"c,d\n")
        eventually(lambda: rows.exists() and rows.read_bytes().endswith(b"c,d\n"), "the next row")
        access.rename(tmp_path / "access.log.old")
        assert logs.reopen() == 2
        eventually(lambda: access.exists(), "a new file although nothing was written")
        assert logs.lost() == {"access": 0, "operational": 0, "csv": 1}
    finally:
        logging.getLogger("tidegate.log").removeHandler(watcher)
        logs.close()
    said = [record.getMessage() for record in seen]
    assert "no such file or directory" in eventually(lambda: said, "what was wrong")[0]
    assert "can be written again; lines lost since the start: 1" in said[-1]
    assert len(said) == 2


@pytest.mark.parametrize("name", ["watchfiles.main", "urllib3.connectionpool"])
def test_what_libraries_tell_of_all_they_do_is_left_out(make: Callable[[str, str], Lines], name: str) -> None:
    lines = make("debug", "json")
    logging.getLogger(name).info("1 change detected")
    assert lines.offered == []
    logging.getLogger(name).warning("something is wrong")
    assert len(lines.offered) == 1
