"""The writer of log lines: nobody waits for it, and what it loses is counted and said."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.obs import writer as writers
from proxy.obs.log_file import Descriptor
from proxy.obs.trouble import TELL_EVERY_S
from proxy.obs.writer import LineWriter, parts
from tests.support.patience import eventually, never


def lost_line(count: int) -> bytes:
    return b"lost=%d\n" % count


class Pipe:
    """A pipe and what its reader has read."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.seen = b""

    def read(self) -> bytes:
        self.seen += os.read(self.reading, 1 << 20)
        return self.seen

    def close_reader(self) -> None:
        os.close(self.reading)
        self.reading = -1

    def close(self) -> None:
        for fd in (self.reading, self.writing):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@contextmanager
def full() -> Iterator[int]:
    """A descriptor of a full disk."""
    fd = os.open("/dev/full", os.O_WRONLY)
    yield fd
    os.close(fd)


def test_lines_are_written_in_order_and_close_waits_for_them(pipe: Pipe) -> None:
    writer = LineWriter(Descriptor(pipe.writing), lost_line)
    for number in range(100):
        writer.offer(b"%d\n" % number)
    writer.close(5.0)
    assert pipe.read() == b"".join(b"%d\n" % number for number in range(100))
    assert writer.lost == 0


def test_what_does_not_fit_is_lost_and_said_when_somebody_reads(pipe: Pipe) -> None:
    line = b"x" * 1023 + b"\n"
    writer = LineWriter(Descriptor(pipe.writing), lost_line, max_waiting_b=256 * 1024)
    for _ in range(1000):
        writer.offer(line)
    assert 500 < writer.lost < 1000
    never(lambda: b"lost" in pipe.seen, "said before it can be", 0.05)
    eventually(lambda: b"lost=%d\n" % writer.lost in pipe.read(), "how many were lost")
    eventually(lambda: pipe.read().count(line) == 1000 - writer.lost, "every line that was not lost")
    writer.close(5.0)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_bound_is_in_bytes(pipe: Pipe, over: int) -> None:
    stuffed = b"x" * (1 << 16)
    os.write(pipe.writing, stuffed)  # as much as a pipe holds: the first line blocks
    writer = LineWriter(Descriptor(pipe.writing), lost_line, max_waiting_b=100)
    writer.offer(b"y" * (99 + over) + b"\n")
    assert writer.lost == (1 if over > 0 else 0)
    pipe.read()
    writer.close(5.0)


def test_a_pipe_that_nobody_reads_keeps_close_for_its_time_only(pipe: Pipe) -> None:
    writer = LineWriter(Descriptor(pipe.writing), lost_line)
    writer.offer(b"x" * (1 << 17) + b"\n")
    writer.close(0.05)
    pipe.read()


def test_a_full_disk_loses_lines_and_tells_once() -> None:
    told: list[OSError | None] = []
    with full() as fd:
        writer = LineWriter(Descriptor(fd), lost_line, told.append)
        for _ in range(3):
            writer.offer(b"a\nb\n")
        writer.close(5.0)
    assert writer.lost == 6
    assert [error and error.errno for error in told] == [errno.ENOSPC]


def test_a_reader_that_is_gone(pipe: Pipe) -> None:
    told: list[OSError | None] = []
    writer = LineWriter(Descriptor(pipe.writing), lost_line, told.append)
    pipe.close_reader()
    writer.offer(b"a\n")
    writer.close(5.0)
    assert writer.lost == 1
    assert isinstance(told[0], BrokenPipeError)


def test_room_on_the_disk_again(monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> None:
    """A write that breaks off inside a line is mended by a line's end; the lost are said behind the next success."""
    room = [3, -1, 1000, 1000]
    told: list[OSError | None] = []

    def write(fd: int, data: memoryview) -> int:
        left = room.pop(0) if room else 1000
        if left < 0:
            raise OSError(errno.ENOSPC, "full")
        return real(fd, data[:left])

    real = os.write
    monkeypatch.setattr(writers.os, "write", write)
    writer = LineWriter(Descriptor(pipe.writing), lost_line, told.append)
    writer.offer(b"aa\nbb\ncc\n")
    eventually(lambda: writer.lost == 2, "two lines lost")
    writer.offer(b"dd\n")
    writer.close(5.0)
    assert pipe.read() == b"aa\ndd\nlost=2\n"
    assert [error is None for error in told] == [False, True]


def test_a_torn_line_is_ended_before_the_next(monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> None:
    room = [4, -1]

    def write(fd: int, data: memoryview) -> int:
        left = room.pop(0) if room else 1000
        if left < 0:
            raise OSError(errno.ENOSPC, "full")
        return real(fd, data[:left])

    real = os.write
    monkeypatch.setattr(writers.os, "write", write)
    writer = LineWriter(Descriptor(pipe.writing), lost_line)
    writer.offer(b"aa\nbb\ncc\n")
    eventually(lambda: writer.lost == 2, "two lines lost")
    writer.offer(b"dd\n")
    writer.close(5.0)
    assert pipe.read() == b"aa\nb\ndd\nlost=2\n"


def test_a_descriptor_that_somebody_made_non_blocking(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    writer = LineWriter(Descriptor(pipe.writing), lost_line)
    for _ in range(200):
        writer.offer(b"x" * 1023 + b"\n")
    eventually(lambda: pipe.read().count(b"\n") == 200, "all lines")
    writer.close(5.0)
    assert writer.lost == 0


def test_trouble_that_comes_and_goes_is_said_once_per_interval(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second write fails; a minute later it is said again."""
    fails, now = [True, False] * 50, [0.0]

    def write(fd: int, data: memoryview) -> int:
        if data and fails and fails.pop(0):
            raise OSError(errno.ENOSPC, "full")
        return real(fd, data)

    real = os.write
    monkeypatch.setattr(writers.os, "write", write)
    told: list[OSError | None] = []
    writer = LineWriter(Descriptor(pipe.writing), None, told.append, clock=lambda: now[0])
    for _ in range(10):
        writer.offer(b"a\n")
    eventually(lambda: len(fails) == 90, "ten writes")
    assert [error is None for error in told] == [False, True]
    now[0] += TELL_EVERY_S
    for _ in range(10):
        writer.offer(b"a\n")
    writer.close(5.0)
    assert [error is None for error in told] == [False, True, False, True]
    assert writer.lost == 10


def test_what_is_refused_for_want_of_room_is_said_before_it_can_be_written(pipe: Pipe) -> None:
    told: list[OSError | None] = []
    writer = LineWriter(Descriptor(pipe.writing), None, told.append, max_waiting_b=1 << 17)
    for _ in range(1000):
        writer.offer(b"x" * 1023 + b"\n")
    assert [error is None for error in told] == [False], "once"
    eventually(lambda: pipe.read().count(b"\n") == 1000 - writer.lost, "every line that was not lost")
    writer.close(5.0)
    assert [error is None for error in told] == [False, True]


def test_rows_without_a_line_for_what_was_lost(pipe: Pipe) -> None:
    writer = LineWriter(Descriptor(pipe.writing), None, max_waiting_b=10)
    writer.offer(b"x" * 20 + b"\n")
    writer.offer(b"a,b\n")
    writer.close(5.0)
    assert (pipe.read(), writer.lost) == (b"a,b\n", 1)


@pytest.mark.parametrize(
    ("lines", "most_b", "expected"),
    [
        (b"", 5, [b""]),
        (b"a\nb\nc\n", 0, [b"a\nb\nc\n"]),
        (b"a\nb\nc\n", 5, [b"a\nb\n", b"c\n"]),
        (b"a\nb\nc\n", 4, [b"a\nb\n", b"c\n"]),
        (b"longer\nb\n", 4, [b"longer\n", b"b\n"]),
        (b"b\nlonger\n", 4, [b"b\n", b"longer\n"]),
        (b"longer\n", 4, [b"longer\n"]),
    ],
)
def test_parts_are_whole_lines(lines: bytes, most_b: int, expected: list[bytes]) -> None:
    assert list(parts(lines, most_b)) == expected
