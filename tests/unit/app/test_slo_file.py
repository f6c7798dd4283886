"""The file of the objectives: all who count add to it, it is of one version, nobody else's, and does not grow."""

import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from proxy.app.slo_file import APPLICATION, VERSION, UnusableError, exchange
from proxy.obs.slo.book import PLACES, Row

NOW = 1_800_000_000.0
NEVER = float("-inf")
ROOT = os.geteuid() == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.slo.sqlite"


def row(key: str = "a", width: int = 10, at: float = NOW, good: int = 1, total: int = 2) -> Row:
    return key, width, int(at) // width, good, total


def test_what_is_added_is_read_by_all(path: Path) -> None:
    assert exchange(path, ["a"], [], NEVER, NOW) == []
    assert exchange(path, ["a"], [row()], NEVER, NOW) == [row()]
    assert exchange(path, ["a"], [row(good=3, total=3)], NEVER, NOW) == [row(good=4, total=5)]
    assert exchange(path, ["a", "b"], [row("b")], NEVER, NOW) == [row(good=4, total=5), row("b")]
    assert exchange(path, ["b"], [], NEVER, NOW) == [row("b")]


def test_one_file_that_is_the_owners(path: Path) -> None:
    exchange(path, ["a"], [row()], NEVER, NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_only_what_is_news_is_read_again(path: Path) -> None:
    old, new = row(at=NOW - 3600), row(at=NOW - 5)
    exchange(path, ["a"], [old, new], NEVER, NOW)
    assert exchange(path, ["a"], [], NOW - 60, NOW) == [new]
    assert exchange(path, ["a"], [], NOW + 60, NOW) == []


def test_a_place_is_written_over_when_its_time_comes_round(path: Path) -> None:
    turn = PLACES[10] * 10
    exchange(path, ["a"], [row(good=7, total=9)], NEVER, NOW)
    assert exchange(path, ["a"], [row(at=NOW + turn)], NEVER, NOW) == [row(at=NOW + turn)]


def test_it_does_not_grow_with_time(path: Path) -> None:
    for hours in range(0, 24 * 400, 50):
        rows = [row(width=width, at=NOW + (hours + more) * 3600) for width in PLACES for more in range(50)]
        exchange(path, ["a"], rows, NOW, NOW + hours * 3600)
    assert path.stat().st_size < 200_000
    assert len(exchange(path, ["a"], [], NEVER, NOW)) <= sum(PLACES.values())


def test_objectives_that_are_no_more_go_after_a_quarter(path: Path) -> None:
    exchange(path, ["old", "a"], [row("old"), row("a")], NEVER, NOW)
    exchange(path, ["a"], [], NEVER, NOW + 91 * 86400)
    assert exchange(path, ["old"], [], NEVER, NOW + 91 * 86400) == [row("old")]
    exchange(path, ["a"], [], NEVER, NOW + 91 * 86400 + 93 * 86400)
    assert exchange(path, ["old"], [], NEVER, NOW) == []


def test_a_clock_in_the_future_takes_nothing_from_those_that_are_counted(path: Path) -> None:
    exchange(path, ["a"], [row()], NEVER, NOW)
    exchange(path, ["a"], [row(at=NOW + 1e10)], NEVER, NOW + 1e10)
    assert row(width=3600) in exchange(path, ["a"], [row(width=3600)], NEVER, NOW)


def test_two_processes_at_once_lose_nothing(path: Path) -> None:
    def add() -> None:
        for _ in range(25):
            exchange(path, ["a"], [row(good=1, total=1)], NEVER, NOW)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exchange(path, ["a"], [], NEVER, NOW) == [row(good=100, total=100)]


def test_one_that_is_killed_at_any_moment_leaves_a_whole_file(path: Path) -> None:
    exchange(path, ["a"], [row(good=5, total=5)], NEVER, NOW)
    half = sqlite3.connect(path, isolation_level=None)
    half.execute("BEGIN IMMEDIATE")
    half.execute("UPDATE bucket SET total = 1000000")
    half.close()  # as the kernel closes what a process leaves
    assert exchange(path, ["a"], [], NEVER, NOW) == [row(good=5, total=5)]


def test_an_empty_file_becomes_one(path: Path) -> None:
    path.touch()
    assert exchange(path, ["a"], [row()], NEVER, NOW) == [row()]


@pytest.mark.parametrize(
    "content",
    [b"version: 1\nbackends: []\n", b"\x00" * 4096, b"SQLite format 3\x00" + b"x" * 5000, b'{"tidegate_state":1}'],
)
def test_what_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UnusableError):
        exchange(path, ["a"], [row()], NEVER, NOW)
    assert path.read_bytes() == content


def test_a_database_of_somebody_else_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bucket (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(UnusableError, match="somebody else"):
        exchange(path, ["a"], [row()], NEVER, NOW)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("version", "said"), [(VERSION + 1, "a newer version"), (99, "a newer version"), (0, "another version")]
)
def test_another_version_is_left_alone(path: Path, version: int, said: str) -> None:
    exchange(path, ["a"], [row()], NEVER, NOW)
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {version}")
    database.close()
    before = path.read_bytes()
    with pytest.raises(UnusableError, match=said):
        exchange(path, ["a"], [row()], NEVER, NOW)
    assert path.read_bytes() == before


def test_it_says_whose_it_is(path: Path) -> None:
    exchange(path, ["a"], [], NEVER, NOW)
    assert int.from_bytes(path.read_bytes()[68:72], "big") == APPLICATION


def test_a_damaged_one_is_said(path: Path) -> None:
    rows = [row(at=NOW - 10 * number) for number in range(300)]
    exchange(path, ["a"], rows, NEVER, NOW)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(UnusableError, match=r"malformed|damaged|corrupt"):
        exchange(path, ["a"], rows, NEVER, NOW)


def test_what_is_no_file_is_said_and_nobody_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, said in {
        "pipe": "not a file",
        "no/file": "no such file",
        ".": "not a file|directory",
        "a\x00b": "path",
    }.items():
        with pytest.raises(UnusableError, match=said):
            exchange(tmp_path / name, ["a"], [row()], NEVER, NOW)
    with pytest.raises(UnusableError):
        exchange(Path("/dev/full"), ["a"], [row()], NEVER, NOW)


def test_a_full_disk_is_said_and_nothing_half_written(path: Path) -> None:
    """A limit of the database itself stands for the disk: SQLite says the same."""
    exchange(path, ["a"], [row(good=5, total=5)], NEVER, NOW)
    resource = pytest.importorskip("resource")
    import signal

    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rows = [row(at=NOW - 10 * number) for number in range(3000)] + [
        row(key="a", width=300, at=NOW - 300 * n) for n in range(800)
    ]
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, old[1]))
        with pytest.raises(UnusableError, match=r"full|i/o error"):
            exchange(path, ["a"], rows, NEVER, NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert exchange(path, ["a"], [], NEVER, NOW) == [row(good=5, total=5)]


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_read_only_is_said(path: Path) -> None:
    exchange(path, ["a"], [row()], NEVER, NOW)
    path.chmod(0o400)
    with pytest.raises(UnusableError, match="readonly"):
        exchange(path, ["a"], [row()], NEVER, NOW)
