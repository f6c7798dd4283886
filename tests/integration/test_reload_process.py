"""Reloads of a real process: by signal, by the admin port, by the files themselves; what is wrong changes nothing."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.proxy_process import TEST_DEFAULTS, ProxyProcess, merged

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hello"}]}
QUICK = {"reload": {"settle": "50ms"}}
BY_HAND = {"reload": {"watch": False}}


@pytest.fixture
def engine(start_backend: Any) -> Any:
    return start_backend()


def write(proxy: ProxyProcess, config: Any) -> None:
    proxy.config_path.write_text(config if isinstance(config, str) else yaml.safe_dump(merged(TEST_DEFAULTS, config)))


def post(proxy: ProxyProcess, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"{proxy.admin_url}{path}", b"", headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20.0) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def view(proxy: ProxyProcess) -> dict[str, Any]:
    with urllib.request.urlopen(f"{proxy.admin_url}/config", timeout=5.0) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def messages(proxy: ProxyProcess) -> list[str]:
    return [json.loads(line)["message"] for line in proxy.stderr]


def classes(proxy: ProxyProcess, name: str) -> int:
    return proxy.ask("POST", PATH, CHAT, [("x-tidegate-class", name)]).status


def config(engine: Any, *names: str, **more: Any) -> dict[str, Any]:
    return {"backends": [backend_entry(engine, "alpha")], "classes": [{"name": name} for name in names], **more}


def test_a_signal_reloads_and_the_log_says_what_changed(start_proxy: Any, engine: Any) -> None:
    proxy = start_proxy(config(engine, "one", **BY_HAND))
    assert (classes(proxy, "one"), classes(proxy, "two")) == (200, 400)
    write(proxy, config(engine, "two", **BY_HAND, hold={"max_wait": "7s"}, listen="127.0.0.1:1"))
    proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: classes(proxy, "two") == 200, "the new class")
    assert classes(proxy, "one") == 400
    text = eventually(lambda: "the configuration was reloaded" in proxy.error_text and proxy.error_text, "said")
    assert "hold.max_wait: 30s → 7s" in text
    assert "SIGHUP" in text
    assert "listen:" not in text, "the command line says where it listens"
    assert proxy.metrics().total("tidegate_config_reloads_total", trigger="SIGHUP", result="ok") == 1


def test_what_only_a_restart_brings_is_said_and_counted(start_proxy: Any, engine: Any, tmp_path: Path) -> None:
    proxy = start_proxy(config(engine, **BY_HAND))
    write(proxy, config(engine, **BY_HAND, state=str(tmp_path / "state.json"), retries={"attempts": 2}))
    status, told = post(proxy, "/reload")
    assert status == 200
    assert told["changes"] == ["retries.attempts: 3 → 2"]
    assert [line.partition(":")[0] for line in told["restart_needed"]] == ["state"]
    assert view(proxy)["restart_needed"] == told["restart_needed"]
    assert proxy.metrics().total("tidegate_config_restart_needed") == 1
    said = "not before a restart: the file is read at the start only"
    eventually(lambda: any(said in line for line in messages(proxy)), "said")


BROKEN = {
    "a mistake": "version: 1\nbackends:\n  - url: http://127.0.0.1:1\n    seets: 4\n",
    "empty": "",
    "half written": "version: 1\nbackends:\n  - url: 'http://127.0.",
    "not UTF-8": b"version: 1\nlisten: \xff\xfe\n",
    "50 MB": b"# " + b"x" * (50 << 20),
    "a directory": None,
    "deleted": None,
    "a pipe": None,
    "a link to itself": None,
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_is_wrong_changes_nothing_and_says_where(start_proxy: Any, engine: Any, how: str) -> None:
    proxy = start_proxy(config(engine, "one", **BY_HAND))
    before, good = view(proxy), proxy.config_path.read_text()
    proxy.config_path.unlink()
    content = BROKEN[how]
    if how == "a directory":
        proxy.config_path.mkdir()
    elif how == "a pipe":
        os.mkfifo(proxy.config_path)
    elif how == "a link to itself":
        proxy.config_path.symlink_to(proxy.config_path)
    elif content is not None:
        proxy.config_path.write_bytes(content if isinstance(content, bytes) else content.encode())
    status, told = post(proxy, "/reload")
    assert (status, told["reloaded"], told["hash"]) == (422, False, before["hash"])
    assert told["errors"][0].startswith(f"{proxy.config_path}:{'4:5' if how == 'a mistake' else ''}")
    eventually(lambda: told["errors"][0] in messages(proxy), "the error is logged")
    assert classes(proxy, "one") == 200
    metrics = proxy.metrics()
    assert metrics.total("tidegate_config_last_reload_successful") == 0
    assert metrics.total("tidegate_config_file_info", hash=before["hash"]) == 1
    after = view(proxy)
    assert after["loaded_at"] == before["loaded_at"]
    assert after["last_attempt"]["errors"] == told["errors"]
    proxy.config_path.rmdir() if how == "a directory" else proxy.config_path.unlink(missing_ok=True)
    proxy.config_path.write_text(good)
    assert post(proxy, "/reload")[0] == 200
    assert proxy.metrics().total("tidegate_config_last_reload_successful") == 1


def overwrite(path: Path, text: str) -> None:
    path.write_text(text)


def by_rename(path: Path, text: str) -> None:
    """As editors and `kubectl cp` do."""
    other = path.with_name(".routing.yaml.new")
    other.write_text(text)
    other.replace(path)


def gone_for_a_moment(path: Path, text: str) -> None:
    path.unlink()
    time.sleep(0.05)
    path.write_text(text)


@pytest.mark.parametrize("change", [overwrite, by_rename, gone_for_a_moment])
def test_a_file_that_changes_is_read_anew(start_proxy: Any, engine: Any, change: Any) -> None:
    proxy = start_proxy(config(engine, "one", **QUICK))
    for name in ("two", "three"):
        change(proxy.config_path, yaml.safe_dump(merged(TEST_DEFAULTS, config(engine, name, **QUICK))))
        eventually(lambda name=name: classes(proxy, name) == 200, f"the class {name}", 5.0)
    assert proxy.metrics().total("tidegate_config_reloads_total", trigger="file", result="ok") == 2


def test_a_config_map_is_swapped(start_proxy: Any, engine: Any, tmp_path: Path) -> None:
    """As the kubelet does: the file is a link to ..data/routing.yaml, and ..data is a link that is renamed over."""

    def swap(number: int, name: str) -> None:
        there = tmp_path / f"..{number}"
        there.mkdir()
        (there / "routing.yaml").write_text(yaml.safe_dump(merged(TEST_DEFAULTS, config(engine, name, **QUICK))))
        (tmp_path / "..data_tmp").symlink_to(there.name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    proxy = start_proxy(config(engine, "one", **QUICK))
    swap(1, "one")
    proxy.config_path.unlink()
    proxy.config_path.symlink_to(tmp_path / "..data" / "routing.yaml")
    eventually(lambda: view(proxy)["reloads"].get("file:ok"), "the link is followed", 5.0)
    for number, name in ((2, "two"), (3, "three")):
        swap(number, name)
        eventually(lambda name=name: classes(proxy, name) == 200, f"the class {name}", 6.0)


def test_files_that_are_named_count_as_the_file(start_proxy: Any, engine: Any, tmp_path: Path) -> None:
    prompt, part, key = tmp_path / "p.txt", tmp_path / "part.txt", tmp_path / "key"
    prompt.write_text("You are {{> part.txt}}")
    part.write_text("kind")
    key.write_text("sk-first")
    more = {"prompts": [{"name": "p", "versions": [{"version": 1, "file": str(prompt)}]}], **QUICK}
    entry = backend_entry(engine, "alpha", api_key=f"${{file:{key}}}")
    proxy = start_proxy({"backends": [entry], **more})

    def system() -> str:
        engine.forget()
        assert proxy.ask("POST", PATH, {**CHAT, "prompt": {"id": "p"}}).status == 200
        return json.loads(engine.wait_for_request().body)["messages"][0]["content"]

    assert system() == "You are kind"
    part.write_text("short")
    eventually(lambda: system() == "You are short", "the new prompt", 5.0)
    key.write_text("sk-second")

    def bearer() -> str:
        engine.forget()
        assert proxy.ask("POST", PATH, CHAT).status == 200
        return dict(engine.wait_for_request().head.fields)["authorization"]

    eventually(lambda: bearer() == "Bearer sk-second", "the new key", 5.0)
    assert "sk-" not in proxy.error_text


def test_watching_is_switched_off_and_on_by_the_file_itself(start_proxy: Any, engine: Any) -> None:
    proxy = start_proxy(config(engine, "one", **QUICK))
    write(proxy, config(engine, "two", **BY_HAND))
    eventually(lambda: classes(proxy, "two") == 200, "the last change that is seen", 5.0)
    write(proxy, config(engine, "three", **QUICK))
    time.sleep(0.4)
    assert classes(proxy, "three") == 400
    assert post(proxy, "/reload")[0] == 200
    write(proxy, config(engine, "four", **QUICK))
    eventually(lambda: classes(proxy, "four") == 200, "it is watched again", 5.0)


def test_a_page_of_another_origin_cannot_reload(start_proxy: Any, engine: Any) -> None:
    proxy = start_proxy(config(engine, **BY_HAND))
    assert post(proxy, "/reload", origin="https://evil.example")[0] == 403
    assert post(proxy, "/reload", origin=proxy.admin_url)[0] == 200
    assert post(proxy, "/cache/bump", origin="null")[0] == 403


def test_a_storm_is_merged_and_bounded(start_proxy: Any, engine: Any) -> None:
    proxy = start_proxy(config(engine, "one", **BY_HAND))
    began = time.monotonic()
    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(post, proxy, "/reload") for _ in range(100)]
        for _ in range(100):
            proxy.process.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        assert {one.result()[0] for one in asked} == {200}
    took_s = time.monotonic() - began
    done = proxy.metrics().total("tidegate_config_reloads_total")
    assert 1 <= done <= 2 + took_s / 0.2
    assert proxy.metrics().total("tidegate_config_reloads_merged_total") >= 100
    assert classes(proxy, "one") == 200


@pytest.mark.parametrize("how", ["signals", "rewrites"])
def test_a_thousand_of_them_cost_bounded_work_and_end_in_the_last_state(
    start_proxy: Any, engine: Any, how: str
) -> None:
    settings = BY_HAND if how == "signals" else QUICK
    proxy = start_proxy(config(engine, "one", **settings))
    began = time.monotonic()
    for number in range(1000):
        text = yaml.safe_dump(merged(TEST_DEFAULTS, config(engine, f"class-{number}", **settings)))
        proxy.config_path.write_text(text)
        if how == "signals":
            proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: classes(proxy, "class-999") == 200, "the last one is in place", 20.0)
    took_s = time.monotonic() - began
    done = proxy.metrics().total("tidegate_config_reloads_total")
    assert 1 <= done <= 2 + took_s / 0.2, "five a second"
    assert classes(proxy, "class-998") == 400


def test_a_reload_of_nothing_is_no_change(start_proxy: Any, engine: Any) -> None:
    proxy = start_proxy(config(engine, **BY_HAND))
    status, told = post(proxy, "/reload")
    assert (status, told["changes"], told["restart_needed"]) == (200, [], [])
    eventually(lambda: any("nothing changed" in line for line in messages(proxy)), "said")


def test_during_a_drain_nothing_is_reloaded(start_proxy: Any, engine: Any) -> None:
    proxy = start_proxy(config(engine, **BY_HAND, drain={"readiness": "1s", "streams": "1s"}))
    proxy.terminate()
    eventually(lambda: "draining" in proxy.error_text, "the drain")
    proxy.process.send_signal(signal.SIGHUP)
    status, told = post(proxy, "/reload")
    assert (status, told["errors"]) == (422, ["the proxy is draining"])
    assert proxy.wait() == 0
