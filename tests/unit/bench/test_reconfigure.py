"""Another configuration for a cell: what is put where, and that the file is back whatever happens."""

import errno
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.bench.admin import Admin, AdminError
from proxy.bench.reconfigure import BACKUP, ReconfigureError, Reconfigurer, put
from proxy.config.loader import load

TEXT = """# kept
version: 1
backends:
  - {url: 'http://127.0.0.1:1', name: alpha}
  - {url: 'http://127.0.0.1:2', name: beta}
classes: [{name: chat, window: off}, {name: bulk}]
"""
ENGINES = {"alpha": {"precision": "fp16"}, "beta": {"precision": "int4"}}


class Port(Admin):
    def __init__(self, file: Path, refuses: str = "") -> None:
        super().__init__("http://admin", {})
        self.file, self.refuses, self.read = file, refuses, []

    async def reload(self) -> str:
        if self.refuses and len(self.read) == 0:
            raise AdminError(self.refuses)
        self.read.append(self.file.read_text())
        return f"hash{len(self.read)}"


def changed(key: str, value: str, text: str = TEXT) -> Any:
    plain = yaml.safe_load(text)
    put(plain, key, value, ENGINES)
    return plain


@pytest.mark.parametrize("value", ["0", "5", "10ms"])
@pytest.mark.parametrize("text", [TEXT, "version: 1\nbackends: [{url: 'http://127.0.0.1:1'}]\n"])
def test_windows_are_understood_by_the_proxy(value: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(yaml.safe_dump(changed("window.max_wait", value, text)))
    loaded = load(file, {})
    assert loaded.config is not None, loaded.diagnostics
    windows = [one.window for one in loaded.config.classes] + list(loaded.config.routing.windows)
    assert windows
    for window in windows:
        assert window is not None
        assert (window.mode == "off") if value == "0" else (window.max_wait == int(value.removesuffix("ms")) / 1e3)


def test_paths() -> None:
    assert changed("window.mode", "fixed")["classes"][1]["window"] == {"mode": "fixed"}
    assert changed("classes.bulk.slo.ttft", "2s")["classes"][1]["slo"] == {"ttft": "2s"}
    assert [one["priority"] for one in changed("classes.*.priority", "3")["classes"]] == [3, 3]
    assert changed("backends.0.seats", "8")["backends"][0]["seats"] == 8
    assert changed("routing.policy", "round_robin")["routing"] == {"policy": "round_robin"}
    assert [one["name"] for one in changed("backend", "beta")["backends"]] == ["beta"]
    assert [one["name"] for one in changed("precision", "fp16")["backends"]] == ["alpha"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("backend", "gamma", "no backend has backend 'gamma'; there are: alpha, beta"),
        ("precision", "fp8", "there are: fp16, int4"),
        ("classes.none.slo", "1", "the file has no entry 'none' there"),
        ("version.deep", "1", "nothing stands below 'deep'"),
        ("window", "1", "write it like window.max_wait"),
    ],
)
def test_what_cannot_be_put(key: str, value: str, said: str) -> None:
    with pytest.raises(ReconfigureError) as refused:
        changed(key, value)
    assert said in str(refused.value)


async def test_the_file_is_back_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    port = Port(file)
    one = Reconfigurer(port, file, ENGINES)
    assert await one.apply((("window.max_wait", "5"), ("routing.policy", "random"))) == "hash1"
    assert (tmp_path / f"routing.yaml{BACKUP}").read_text() == TEXT
    assert "max_wait: 5ms" in port.read[0]
    assert "policy: random" in port.read[0]
    await one.apply((("window.max_wait", "10"),))
    assert "random" not in port.read[1]
    await one.restore()
    await one.restore()
    assert (file.read_text(), port.read[-1], len(port.read)) == (TEXT, TEXT, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["routing.yaml"]


async def test_a_killed_run_left_a_way_back(tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text("version: 1\nchanged: true\n")
    (tmp_path / f"routing.yaml{BACKUP}").write_text(TEXT)
    port = Port(file)
    one = Reconfigurer(port, file, ENGINES)
    await one.apply(())
    assert file.read_text() == TEXT
    assert port.read == [TEXT]


async def test_what_the_proxy_refuses_is_said_and_put_back(tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    one = Reconfigurer(Port(file, refuses="no such option"), file, ENGINES)
    with pytest.raises(ReconfigureError, match=r"routing\.nonsense=1: no such option"):
        await one.apply((("routing.nonsense", "1"),))
    with pytest.raises(ReconfigureError, match="the file is as it was"):
        await one.restore()
    assert file.read_text() == TEXT


async def test_a_whole_file_is_placed_and_put_back(tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    port = Port(file)
    one = Reconfigurer(port, file, {})
    assert await one.place("version: 1\n", "way 1") == "hash1"
    assert file.with_name(file.name + BACKUP).read_text() == TEXT
    await one.restore()
    assert port.read == ["version: 1\n", TEXT]
    assert [path.name for path in tmp_path.iterdir()] == ["routing.yaml"]


async def test_on_a_full_disk_the_copy_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(TEXT)
    one = Reconfigurer(Port(file), file, ENGINES)
    await one.apply((("routing.policy", "random"),))

    def full(path: Path, data: bytes) -> int:
        path.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    await one.restore()
    assert file.read_text() == TEXT
    assert [path.name for path in tmp_path.iterdir()] == ["routing.yaml"]


async def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ReconfigureError, match="No such file"):
        Reconfigurer(Port(tmp_path / "x"), tmp_path / "x", {})
    file = tmp_path / "routing.yaml"
    file.write_text("- 1\n")
    with pytest.raises(ReconfigureError, match="holds no configuration"):
        await Reconfigurer(Port(file), file, {}).apply((("a", "1"),))
