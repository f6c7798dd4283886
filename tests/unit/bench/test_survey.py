"""What is found out before a run: who serves, on what, how requests are gathered."""

from pathlib import Path

import pytest

from proxy.bench.survey import _file_here, survey, window_ms, windows_of
from proxy.config.loader import load
from tests.unit.bench.engines_made import engine
from tests.unit.bench.test_options import options


async def test_an_engine_alone() -> None:
    async with engine() as server:
        seen = await survey(options(urls={"url": server.url}), "chat")
    assert seen.targets["url"].server == "vllm"
    assert seen.admin is None
    assert seen.hardware(options()).endswith(seen.machine.cpu)
    assert seen.hardware(options(hardware="mine")) == "mine"
    one = seen.spec(options(urls={"url": server.url}, model="x"), "url", "", "salt")
    assert (one.model, one.salt, one.sends_class) == ("x", "salt", False)


async def test_a_pair_is_told_apart_by_a_word_where_there_is_a_salt() -> None:
    async with engine() as server:
        both = options(urls={"url": server.url, "direct": server.url}, names={"url": "ours"})
        seen = await survey(both, "chat")
    salts = {seen.spec(both, side, "", "s").salt for side in ("url", "direct")}
    assert len(salts) == 2
    assert seen.spec(both, "url", "").salt == ""
    assert (seen.targets["url"].server, seen.targets["direct"].server) == ("ours", "vllm")
    assert seen.spec(both, "url", "").model == "sim"


def test_windows_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(
        "version: 1\nbackends: [{url: 'http://127.0.0.1:1'}]\n"
        "classes: [{name: chat, window: {mode: fixed, max_wait: 30ms}}, {name: bulk, window: off}]\n"
    )
    assert windows_of(file, "embeddings") == {"window of chat": "fixed 30ms", "window of bulk": "off"}
    assert windows_of(None, "chat") == {}


@pytest.mark.parametrize(
    ("windows", "settings", "ms"),
    [
        ({}, (), None),
        ({"a": "adaptive 10ms", "b": "adaptive 10ms"}, (), 10.0),
        ({"a": "adaptive 10ms", "b": "off"}, (), None),
        ({"a": "off"}, (("window.max_wait", "0"),), 0.0),
        ({}, (("classes.a.window.max_wait", "20ms"),), 20.0),
    ],
)
def test_the_window_of_a_row(windows: dict[str, str], settings: tuple[tuple[str, str], ...], ms: float | None) -> None:
    assert window_ms(windows, settings) == ms


def test_a_file_of_the_same_path_that_the_proxy_has_not_read_is_another_one(tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text("version: 1\nbackends: [{url: 'http://127.0.0.1:1'}]\n")
    read = load(file, {}).digest
    assert _file_here(str(file), read) == file
    file.write_text("version: 1\nbackends: [{url: 'http://127.0.0.1:2'}]\n")
    assert _file_here(str(file), read) is None
    assert _file_here("/nowhere", read) is None
