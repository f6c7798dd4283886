"""A configuration on trial: it stays when it is confirmed, and goes when it is not or when answers get worse."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.integration.test_reload_process import BY_HAND, CHAT, PATH, classes, config, messages, post, view, write
from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess


@pytest.fixture
def engine(start_backend: Any) -> Any:
    return start_backend()


@pytest.fixture
def proxy(start_proxy: Any, engine: Any) -> ProxyProcess:
    started: ProxyProcess = start_proxy(config(engine, "one", **BY_HAND))
    return started


def test_nobody_confirms_it(proxy: ProxyProcess, engine: Any) -> None:
    before = view(proxy)["hash"]
    write(proxy, config(engine, "two", **BY_HAND))
    status, told = post(proxy, "/reload?confirm=1s")
    assert (status, told["trial"]["back_to"]) == (200, before)
    assert classes(proxy, "two") == 200
    eventually(lambda: classes(proxy, "two") == 400, "it is rolled back", 5.0)
    assert classes(proxy, "one") == 200
    after = view(proxy)
    assert (after["hash"], after["trial"]) == (before, None)
    assert after["last_attempt"]["errors"] == ["nobody confirmed it within 1 s"]
    assert proxy.metrics().total("tidegate_config_last_reload_successful") == 0
    assert proxy.metrics().total("tidegate_config_reloads_total", result="rolled_back") == 1
    assert post(proxy, "/reload/confirm")[0] == 409


def test_somebody_confirms_it(proxy: ProxyProcess, engine: Any) -> None:
    write(proxy, config(engine, "two", **BY_HAND))
    assert post(proxy, "/reload?confirm=1s")[0] == 200
    assert post(proxy, "/reload/confirm")[0] == 200
    time.sleep(1.3)
    assert classes(proxy, "two") == 200
    assert post(proxy, "/reload/rollback")[0] == 409, "confirmed is confirmed"


def test_somebody_goes_back(proxy: ProxyProcess, engine: Any) -> None:
    assert post(proxy, "/reload/rollback")[0] == 409, "nothing has changed yet"
    write(proxy, config(engine, "two", **BY_HAND))
    assert post(proxy, "/reload")[0] == 200
    assert post(proxy, "/reload/rollback")[0] == 200
    assert (classes(proxy, "one"), classes(proxy, "two")) == (200, 400)


def test_answers_that_get_worse_end_it_at_once(proxy: ProxyProcess, engine: Any) -> None:
    for _ in range(100):
        assert proxy.ask("POST", PATH, CHAT).status == 200
    write(proxy, {**config(engine, "one", **BY_HAND), "backends": [backend_entry(engine, "alpha", models=["renamed"])]})
    assert post(proxy, "/reload?confirm=60s")[0] == 200
    began = time.monotonic()
    while proxy.ask("POST", PATH, CHAT).status == 404:
        assert time.monotonic() - began < 10.0
    assert proxy.ask("POST", PATH, CHAT).status == 200
    said = eventually(lambda: [line for line in messages(proxy) if "was rolled back" in line], "said")
    assert "errors: " in said[0]
    assert " since the change, 0 of 1" in said[0]


def test_a_wrong_file_is_never_on_trial(proxy: ProxyProcess, engine: Any) -> None:
    write(proxy, "version: 1\n")
    status, told = post(proxy, "/reload?confirm=1s")
    assert (status, told["trial"]) == (422, None)
    assert post(proxy, "/reload?confirm=never")[0] == 400
    assert post(proxy, "/reload?confirm=2h")[0] == 400


def test_what_the_watch_has_loaded_already_is_tried_as_well(start_proxy: Any, engine: Any) -> None:
    quick = {"reload": {"settle": "50ms"}}
    proxy = start_proxy(config(engine, "one", **quick))
    write(proxy, config(engine, "two", **quick))
    eventually(lambda: classes(proxy, "two") == 200, "the watch", 5.0)
    status, told = post(proxy, "/reload?confirm=1s")
    assert (status, told["changes"]) == (200, [])
    assert told["trial"] is not None
    eventually(lambda: classes(proxy, "one") == 200, "it is rolled back", 5.0)
    time.sleep(0.3)
    assert classes(proxy, "one") == 200, "the file is as it was: nothing is read anew"


def test_the_command(proxy: ProxyProcess, engine: Any) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "proxy.cli.main", "reload", "--admin", proxy.admin_url, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30.0)

    write(proxy, config(engine, "two", **BY_HAND))
    tried = run("--confirm", "30s")
    assert (tried.returncode, tried.stderr) == (0, "")
    assert "keep it: tidegate reload --confirmed" in tried.stdout
    assert run("--confirmed").returncode == 0
    assert run("--confirmed").returncode == 1
    write(proxy, "version: 7\n")
    wrong = run("--json")
    assert wrong.returncode == 1
    assert json.loads(wrong.stdout)["errors"][0].startswith(f"{proxy.config_path}:1:1")
