"""What counts as a change of the configuration's files, and where it is looked for."""

import asyncio
import os
from pathlib import Path

from proxy.app.file_watch import FileWatch, folders, prints


def test_whatever_differs_is_a_change(tmp_path: Path) -> None:
    file, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text("one")
    before = prints([file])
    assert before == prints([file])
    os.utime(file, (1.0, 1.0))
    assert prints([file]) != before, "a clock that went back, too"
    before = prints([file])
    other.write_text("two")
    os.utime(other, (1.0, 1.0))
    other.replace(file)
    assert prints([file]) != before, "another file of the same size and time"
    file.unlink()
    assert prints([file]) == {file: None}


def test_links_are_followed(tmp_path: Path) -> None:
    for name in ("..1", "..2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "r.yaml").write_text("same")
        os.utime(tmp_path / name / "r.yaml", (1.0, 1.0))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "r.yaml").symlink_to("..data/r.yaml")
    file = tmp_path / "r.yaml"
    before = prints([file])
    assert folders([file]) == [tmp_path, tmp_path / "..1"]
    (tmp_path / "new").symlink_to("..2")
    (tmp_path / "new").rename(tmp_path / "..data")
    assert prints([file]) != before
    assert folders([file]) == [tmp_path, tmp_path / "..2"]


def test_odd_names_are_only_missing(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for odd in (loop, tmp_path / "nowhere" / "x", tmp_path / ("x" * 5000)):
        assert prints([odd]) == {odd: None}
    assert folders([tmp_path / "nowhere" / "x"]) == []


async def test_a_change_is_told_once_when_nothing_changes_any_more(tmp_path: Path) -> None:
    file, told = tmp_path / "r.yaml", []
    file.write_text("0")
    watch = FileWatch([file], 0.3, lambda: told.append(file.read_text()))
    task = asyncio.ensure_future(watch.run())
    try:
        for step in range(8):
            file.write_text("x" * (step + 2))
            await asyncio.sleep(0.05)
        async with asyncio.timeout(10.0):
            while not told:
                await asyncio.sleep(0.05)
        assert told == ["x" * 9]
        (tmp_path / "other").write_text("somebody else's")
        await asyncio.sleep(0.5)
        assert len(told) == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
