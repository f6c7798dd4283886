"""When the counts are written and read, and what is said of a file that is of no use."""

import asyncio
import logging
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.app import slos
from proxy.app.slo_file import exchange
from proxy.app.slos import Slos
from proxy.app.steady_clock import SteadyClock
from proxy.model.slos import ServiceLevelObjective
from proxy.obs.slo.book import SloBook
from tests.unit.obs.records import record

CHAT = ServiceLevelObjective(name="chat", class_="interactive", objective=0.99)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.slo.sqlite"


def made(path: Path | None, *more: ServiceLevelObjective) -> Slos:
    return Slos(SloBook([CHAT, *more]), SteadyClock(time.time, time.monotonic), path)


def counted(one: Slos, times: int) -> Slos:
    for _ in range(times):
        one.count(record())
    return one


def events(one: Slos) -> int:
    return int(one.status()[0].in_window[1])


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_second_process_goes_on_where_the_first_was(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = made(path)
    await first.recall()
    counted(first, 7)
    await first.close()
    second = made(path)
    await second.recall()
    assert events(second) == 7
    assert second.status()[0].burns["5m"] == 0
    await second.close()
    third = made(path)
    await third.recall()
    assert events(third) == 7, "counted once"
    assert said(caplog) == []


async def test_two_that_run_at_once_know_of_each_other(path: Path) -> None:
    old, new = made(path), made(path)
    await old.recall()
    counted(old, 5)
    await new.recall()
    counted(new, 3)
    await new.save()
    await old.close()  # its last streams ended after the new one began
    await new.save()
    assert events(new) == 8
    await new.save()
    assert events(new) == 8


async def test_without_a_file_all_is_in_memory() -> None:
    one = made(None)
    await one.recall()
    counted(one, 3)
    await one.save()
    await one.close()
    assert events(one) == 3


async def test_a_file_of_no_use_is_said_once_and_counts_go_on(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text("somebody else's notes")
    one = made(path)
    await one.recall()
    for _ in range(3):
        counted(one, 2)
        await one.save()
    (line,) = said(caplog)
    assert str(path) in line
    assert "kept in memory only" in line
    assert events(one) == 6
    path.unlink()  # the operator puts it right
    with caplog.at_level(logging.INFO):
        await one.save()
    assert "written again" in caplog.text
    assert events(one) == 6
    after = made(path)
    await after.recall()
    assert events(after) == 6, "what could not be written before"


async def test_a_newer_version_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exchange(path, ["a"], [], 0.0, 0.0)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    before = path.read_bytes()
    one = counted(made(path), 1)
    await one.recall()
    await one.close()
    (line,) = said(caplog)
    assert "a newer version" in line
    assert path.read_bytes() == before
    assert events(one) == 1


async def test_a_disk_that_hangs_keeps_neither_the_start_nor_the_end(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slos, "_FIRST_READ_S", 0.05)
    monkeypatch.setattr(slos, "_LAST_WRITE_S", 0.05)
    exchange(path, ["a"], [], 0.0, 0.0)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    one = made(path)
    began = asyncio.get_running_loop().time()
    await one.recall()
    counted(one, 4)
    await one.close()
    assert asyncio.get_running_loop().time() - began < 4  # SQLite itself would wait for five
    assert any("does not answer" in line for line in said(caplog))
    holder.execute("ROLLBACK")
    holder.close()
    await one.save()
    await one.save()
    other = made(path)
    await other.recall()
    assert events(other) == 4


async def test_counting_writes_nothing(path: Path) -> None:
    counted(made(path), 100)
    assert not path.exists()


async def test_one_that_was_never_there_before_has_no_counts_of_others(path: Path) -> None:
    one = counted(made(path), 3)
    await one.save()
    other = Slos(
        SloBook([ServiceLevelObjective(name="chat", class_="interactive", objective=0.99, ttft=0.1)]),
        SteadyClock(time.time, time.monotonic),
        path,
    )
    await other.recall()
    assert events(other) == 0


async def test_another_configuration_goes_on_with_what_is_the_same(path: Path) -> None:
    late = replace(CHAT, name="late", e2e=0.1)
    one = counted(made(path, late), 5)
    looser = replace(CHAT, objective=0.9, window=86400.0)
    new = replace(CHAT, name="new")
    one.configure([new, looser])
    assert [(told.slo.name, told.slo.objective, told.in_window) for told in one.status()] == [
        ("new", 0.99, (0, 0)),
        ("chat", 0.9, (5, 5)),
    ]
    counted(one, 1)
    await one.save()
    one.configure([late])
    await one.save()
    assert one.status()[0].in_window == (0, 5), "what it had counted before it left was saved"
    one.configure([])
    assert not one.is_on
    await one.close()
    other = made(path)
    await other.recall()
    assert events(other) == 6


async def test_what_leaves_while_nothing_can_be_saved_is_saved_later(path: Path) -> None:
    path.write_text("somebody else's notes")
    one = counted(made(path), 3)
    await one.save()
    one.configure([])
    await one.save()
    path.unlink()
    await one.save()
    other = made(path)
    await other.recall()
    assert events(other) == 3


async def test_without_objectives_no_file_is_made(path: Path) -> None:
    one = Slos(SloBook(), SteadyClock(time.time, time.monotonic), path)
    await one.recall()
    await one.close()
    assert not path.exists()


async def test_two_that_wait_for_one_save_count_it_once(path: Path) -> None:
    path.write_text("somebody else's notes")
    one = counted(made(path), 3)
    await asyncio.gather(one.save(), one.save(), one.close())
    assert events(one) == 3
    path.unlink()
    await one.save()
    other = made(path)
    await other.recall()
    assert events(other) == 3


async def test_a_new_one_is_read_whole_though_a_save_was_under_way(path: Path) -> None:
    late = replace(CHAT, name="late", ttft=9.0)
    before = counted(made(path, late), 4)
    before._clock._offset_s -= 86400.0
    counted(before, 6)
    await before.close()
    one = made(path)
    saving = asyncio.ensure_future(one.save())
    await asyncio.sleep(0)
    one.configure([CHAT, late])
    await saving
    await one.save()
    assert [told.in_window[1] for told in one.status()] == [10, 10]
