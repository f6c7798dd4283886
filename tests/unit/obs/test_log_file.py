"""A log file in whatever state it is found: rotated, moved away, full, foreign, a pipe; whole lines only."""

import errno
import logging
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.obs import log_file as module
from proxy.obs.log_file import Descriptor, LogFile
from proxy.obs.writer import LineWriter
from tests.support.patience import eventually

HEADER = b"a,b\n"


def writer(path: Path, most_b: int = 0, kept: int = 5, header: bytes = HEADER, **more: object) -> LineWriter:
    return LineWriter(LogFile(path, most_b, kept, header), None, **more)  # type: ignore[arg-type]


def told_to(told: list[OSError | None], path: Path) -> LineWriter:
    return writer(path, tell=told.append)


def rows(*paths: Path) -> list[bytes]:
    """All rows in these files, each of which begins with the header."""
    found = []
    for path in paths:
        lines = path.read_bytes().splitlines(keepends=True)
        assert lines[0] == HEADER
        found += lines[1:]
    return found


def test_a_new_file_has_the_header_once_and_is_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for number in range(3):
        one = writer(path)
        one.offer(b"%d,0\n" % number)
        one.close(5.0)
    assert rows(path) == [b"0,0\n", b"1,0\n", b"2,0\n"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_begun_before_there_is_a_line(tmp_path: Path) -> None:
    one = writer(tmp_path / "rows.csv")
    one.begin()
    one.close(5.0)
    assert (tmp_path / "rows.csv").read_bytes() == HEADER


@pytest.mark.parametrize("kept", [1, 3])
def test_rotation_loses_nothing_that_is_kept(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "rows.csv"
    one = writer(path, 100, kept)
    for number in range(200):
        one.offer(b"%03d,0\n" % number)
    one.close(5.0)
    aside = [tmp_path / f"rows.csv.{number}" for number in range(kept, 0, -1)]
    assert sorted(tmp_path.iterdir()) == sorted([path, *aside])
    assert all(file.stat().st_size <= 100 for file in (path, *aside))
    last = rows(*aside, path)
    assert last == [b"%03d,0\n" % number for number in range(200 - len(last), 200)]
    assert len(last) > 16 * kept


def test_a_file_that_is_there_goes_on_and_is_rotated_by_its_whole_size(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER + b"1,0\n" * 30)
    one = writer(path, 100)
    one.offer(b"2,0\n")
    one.close(5.0)
    assert rows(path) == [b"2,0\n"]
    assert rows(tmp_path / "rows.csv.1") == [b"1,0\n"] * 30


def test_a_torn_last_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER + b"1,")
    one = writer(path)
    one.offer(b"2,0\n")
    one.close(5.0)
    assert path.read_bytes() == HEADER + b"1,\n2,0\n"


def test_a_file_with_other_columns_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"other,columns\n1,2\n")
    told: list[OSError | None] = []
    one = told_to(told, path)
    one.offer(b"1,0\n2,0\n")
    one.close(5.0)
    assert path.read_bytes() == b"other,columns\n1,2\n"
    assert one.lost == 2
    assert "left alone" in str(told[0])


def test_moved_away_and_opened_anew(tmp_path: Path) -> None:
    """As logrotate does it: what was offered before is in one of the two files, and nothing is lost."""
    path, old = tmp_path / "rows.csv", tmp_path / "rows.csv.old"
    one = writer(path)
    one.offer(b"1,0\n")
    eventually(lambda: path.exists() and path.read_bytes().endswith(b"1,0\n"), "the first row")
    path.rename(old)
    one.offer(b"2,0\n")
    eventually(lambda: old.read_bytes().endswith(b"2,0\n"), "a row in the file that was moved")
    one.reopen()
    eventually(lambda: path.exists(), "a new file")
    one.offer(b"3,0\n")
    one.close(5.0)
    assert (rows(old), rows(path)) == ([b"1,0\n", b"2,0\n"], [b"3,0\n"])


def test_truncated_beneath_it(tmp_path: Path) -> None:
    """logrotate's `copytruncate`: no hole, and the header again."""
    path = tmp_path / "rows.csv"
    one = writer(path)
    one.offer(b"1,0\n")
    eventually(lambda: path.exists() and path.read_bytes().endswith(b"1,0\n"), "the first row")
    os.truncate(path, 0)
    one.offer(b"2,0\n")
    one.close(5.0)
    assert rows(path) == [b"2,0\n"]


def test_removed_and_replaced_before_anybody_says_so(tmp_path: Path) -> None:
    """Rotation puts aside its own file only."""
    path = tmp_path / "rows.csv"
    one = writer(path, 100)
    one.offer(b"1,0\n" * 20)
    eventually(lambda: path.exists() and path.stat().st_size > 80, "rows")
    path.rename(tmp_path / "theirs")
    path.write_bytes(b"")
    one.offer(b"2,0\n" * 10)
    one.close(5.0)
    assert rows(path) == [b"2,0\n"] * 10
    assert not (tmp_path / "rows.csv.1").exists()


def test_a_directory_in_which_nothing_can_be_renamed_costs_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def replace(self: Path, target: Path) -> Path:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(module.Path, "replace", replace)
    path = tmp_path / "rows.csv"
    one = writer(path, 100)
    for number in range(100):
        one.offer(b"%03d,0\n" % number)
    with caplog.at_level(logging.ERROR):
        one.close(5.0)
    assert rows(path) == [b"%03d,0\n" % number for number in range(100)]
    assert one.lost == 0
    assert 1 <= sum("cannot be put aside" in line for line in caplog.messages) <= 6


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may become larger than 50 bytes: a full disk, in all but its name."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_full_file_holds_whole_lines_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path, told = tmp_path / "rows.csv", list[OSError | None]()
    one = told_to(told, path)
    one.offer(b"".join(b"row%d,0\n" % number for number in range(9)))
    eventually(lambda: one.lost, "rows for which there is no room")
    kept = rows(path)
    assert kept == [b"row%d,0\n" % number for number in range(len(kept))]
    assert len(kept) + one.lost == 9
    one.offer(b"more,0\n")
    eventually(lambda: len(kept) + one.lost == 10, "one more")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    one.offer(b"last,0\n")
    one.close(5.0)
    assert rows(path) == [*kept, b"last,0\n"]
    assert [error and error.errno for error in told] == [errno.EFBIG, None]


def test_a_pipe_that_nobody_has_opened_and_then_somebody_reads(tmp_path: Path) -> None:
    path, told = tmp_path / "pipe", list[OSError | None]()
    os.mkfifo(path)
    one = told_to(told, path)
    one.offer(b"1,0\n")
    eventually(lambda: one.lost == 1, "a row that nobody took")
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    one.offer(b"2,0\n")
    one.close(5.0)
    assert os.read(reading, 1000) == HEADER + b"2,0\n"
    os.close(reading)
    assert "nobody reads" in str(told[0])
    assert told[1:] == [None]


def test_a_pipe_whose_reader_stands_still_is_opened_anew_when_asked(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "pipe", tmp_path / "moved"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    one = writer(path)
    one.offer(b"x" * (1 << 17) + b",0\n")
    eventually(lambda: os.read(reading, 1), "its first byte")
    path.rename(elsewhere)
    one.reopen()
    one.offer(b"2,0\n")
    eventually(lambda: path.is_file() and rows(path) == [b"2,0\n"], "a file in its place", 5.0)
    assert one.lost == 1
    one.close(5.0)
    os.close(reading)


def test_a_standard_stream_is_never_closed() -> None:
    reading, writing = os.pipe()
    to = Descriptor(writing)
    assert to.ready(10) == b""
    assert to.failed(b"a line\n")
    assert not to.failed(b"a piece")
    to.close()
    os.write(writing, b"still open")
    for fd in (reading, writing):
        os.close(fd)


def test_many_lines_at_once_fill_several_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    one = writer(path, 100, 1000)
    one.offer(b"".join(b"%03d,0\n" % number for number in range(200)))
    one.close(5.0)
    aside = sorted(tmp_path.glob("rows.csv.*"), key=lambda file: -int(file.suffix[1:]))
    assert all(file.stat().st_size <= 100 for file in (path, *aside))
    assert rows(*aside, path) == [b"%03d,0\n" % number for number in range(200)]


def test_a_device_that_is_always_full(tmp_path: Path) -> None:
    told: list[OSError | None] = []
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    one = told_to(told, path)
    for _ in range(3):
        one.offer(b"1,0\n2,0\n")
    one.close(5.0)
    assert one.lost == 6
    assert [error and error.errno for error in told] == [errno.ENOSPC]
