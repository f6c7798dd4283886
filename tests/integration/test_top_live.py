"""`tidegate status` and `tidegate top` before a running proxy: true, through restarts, and the terminal as it was."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.proxy_process import running_proxy
from tests.support.screen import on_terminal

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
KEY = "a-very-long-admin-key"
TIDEGATE = [sys.executable, "-m", "proxy.cli.main"]


def tidegate(*arguments, env=None, **more):
    return subprocess.run(
        [*TIDEGATE, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})}, **more
    )


def seen(program, text, within_s=20.0):
    eventually(lambda: text in program.screen.text, f"{text!r} on the screen", within_s)


def test_status_is_the_document_and_tells_whether_it_is_ready(start_pair):
    _, proxy = start_pair()
    proxy.ask("POST", PATH, CHAT)
    told = tidegate("status", "--admin", proxy.admin_url, "--json")
    assert told.returncode == 0
    document, now = json.loads(told.stdout), proxy.admin("/status").json()
    assert document.keys() == now.keys()
    assert document["instance"] == now["instance"]
    shown = tidegate("status", "--admin", proxy.admin_url)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("tidegate  ready ")
    assert "\x1b" not in shown.stdout


def test_every_number_is_that_of_the_metrics(start_pair):
    promises = {"classes": [{"name": "chats", "slo": {"ttft": "1ms"}}, {"name": "calm", "slo": {"ttft": "30s"}}]}
    _, proxy = start_pair(config=promises)
    for name in ("chats", "calm", "calm"):
        proxy.ask("POST", PATH, {**CHAT, "stream": True}, [("x-tidegate-class", name), ("x-fake", "stream 5 0.005")])
    eventually(lambda: proxy.admin("/status").json()["decisions_seq"] == 3, "three decisions")
    lines = tidegate("status", "--admin", proxy.admin_url).stdout.splitlines()
    metrics = proxy.metrics()
    for name in ("chats", "calm"):
        row = next(line for line in lines if line.startswith(name)).split()
        assert f"{metrics.total('tidegate_slo_attainment', **{'class': name}) * 100:.0f} %" == " ".join(row[-2:])
    alpha = next(line for line in lines if line.startswith("alpha"))
    learned = metrics.total("tidegate_backend_learned_tpot_seconds", backend="alpha")
    assert f"{learned * 1e3:.1f} ms" in alpha or f"{learned * 1e3:.0f} ms" in alpha
    assert sum(line[:8].count(":") == 2 for line in lines) == 3, "a line for each decision"


@pytest.mark.parametrize("command", ["status", "top"])
def test_nobody_there_somebody_else_and_the_wrong_key(start_backend, command):
    config = {"admin_key": "${ADMIN_KEY}", "backends": [backend_entry(start_backend(), "alpha")]}
    with running_proxy(config, env={"ADMIN_KEY": KEY}) as proxy:
        refused(proxy, command)


def refused(proxy, command):
    nobody = tidegate(command, "--admin", "http://127.0.0.1:1")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert nobody.stderr == f"tidegate {command}: no proxy answers at http://127.0.0.1:1: connection refused\n"
    wrong = tidegate(command, "--admin", proxy.admin_url, env={"TIDEGATE_ADMIN_KEY": "another"})
    assert wrong.returncode == 1
    assert "it answered 401" in wrong.stderr
    assert "TIDEGATE_ADMIN_KEY" in wrong.stderr
    right = tidegate("status", "--admin", proxy.admin_url, env={"TIDEGATE_ADMIN_KEY": KEY})
    assert right.returncode == 0
    data_port = tidegate(command, "--admin", proxy.url)
    assert data_port.returncode == 1
    assert "it answered 40" in data_port.stderr
    assert "Traceback" not in nobody.stderr + wrong.stderr + data_port.stderr


def test_a_reader_that_leaves(start_pair):
    _, proxy = start_pair()
    command = f"{sys.executable} -m proxy.cli.main top --admin {proxy.admin_url} | head -1; echo ${{PIPESTATUS[0]}}"
    told = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert told.stderr == ""
    assert told.stdout.splitlines()[-1] == "141"


def test_lines_where_nobody_looks_at_a_screen(start_pair):
    _, proxy = start_pair()
    arguments = ["top", "--admin", proxy.admin_url]
    assert tidegate(*arguments, "--once").stdout.count("BACKEND") == 1
    program = subprocess.Popen([*TIDEGATE, *arguments], stdout=subprocess.PIPE, text=True)
    headings = 0
    while headings < 2:
        headings += program.stdout.readline().startswith("BACKEND")
    program.send_signal(signal.SIGINT)
    rest, _ = program.communicate(timeout=20)
    assert program.returncode == 0
    assert "\x1b" not in rest


def test_it_follows_resizes_and_leaves_the_terminal_as_it_was(start_pair):
    _, proxy = start_pair()
    with on_terminal("top", "--admin", proxy.admin_url, columns=120, rows=40) as top:
        seen(top, "alpha")
        assert top.screen.is_other_screen
        assert not top.screen.has_cursor
        assert top.modes_now != top.modes
        proxy.ask("POST", PATH, CHAT)
        seen(top, "kept")
        for columns, rows in ((60, 20), (80, 24), (30, 6), (200, 50), (1, 1), (100, 30)):
            top.resize(columns, rows)
            eventually(lambda rows=rows: max(top.screen.rows, default=0) == rows, f"{rows} rows")
            eventually(lambda columns=columns: max(map(len, top.screen.rows.values())) <= columns, f"{columns} columns")
        top.press(b"2")
        eventually(lambda: "ENDED" not in top.screen.text, "backends alone")
        assert "alpha" in top.screen.text
        top.press(b"3")
        eventually(lambda: "BACKEND" not in top.screen.text, "decisions alone")
        top.press(b"n")
        seen(top, "NOTABLE")
        top.press(b"?")
        seen(top, "this help")
        top.press(b"xq")
        assert top.ended() == 0
        assert (top.screen.is_other_screen, top.screen.has_cursor) == (False, True)
        assert top.modes_now == top.modes
        assert top.screen.plain == ""


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM", "SIGHUP"])
def test_however_it_ends_the_terminal_is_as_it_was(start_pair, how):
    _, proxy = start_pair()
    with on_terminal("top", "--admin", proxy.admin_url) as top:
        seen(top, "alpha")
        if how == "ctrl-c":
            top.press(b"\x03")
        else:
            top.process.send_signal(getattr(signal, how))
        assert top.ended() == 0
        assert (top.screen.is_other_screen, top.screen.has_cursor) == (False, True)
        assert top.modes_now == top.modes
        assert "Traceback" not in top.screen.plain


def test_stopped_and_brought_back(start_pair):
    _, proxy = start_pair()
    with on_terminal("top", "--admin", proxy.admin_url) as top:
        seen(top, "alpha")
        os.kill(top.process.pid, signal.SIGTSTP)  # its group is an orphan: it gives the terminal back, and goes on
        os.kill(top.process.pid, signal.SIGCONT)
        eventually(lambda: top.screen.is_other_screen and not top.screen.has_cursor, "it is back")
        top.screen.rows.clear()
        seen(top, "alpha")
        top.press(b"q")
        assert top.ended() == 0


def test_a_restart_is_told_and_survived(bed, start_backend):
    engine = start_backend()
    config = {"backends": [backend_entry(engine, "alpha")]}
    with bed.proxy(config) as first:
        first.ask("POST", PATH, CHAT)
        admin = f"127.0.0.1:{first.admin_port}"
        context = on_terminal("top", "--admin", f"http://{admin}")
        top = context.__enter__()
        seen(top, "kept")
    try:
        seen(top, "Lost for")
        assert "alpha" in top.screen.text, "the last numbers stay"
        with bed.proxy(config, "--admin", admin):
            eventually(lambda: "Lost for" not in top.screen.text, "it is back", 20.0)
            seen(top, "No request yet")
            top.press(b"q")
            assert top.ended() == 0
    finally:
        context.__exit__(None, None, None)


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_left_out_when_nobody_wants_them(start_pair, env, coloured):
    _, proxy = start_pair()
    with on_terminal("top", "--admin", proxy.admin_url, env=env) as top:
        seen(top, "alpha")
        top.press(b"q")
        top.ended()
        colours = {int(code) for args in top.screen.styles for code in args.split(";") if code}
        assert bool(colours & set(range(30, 38))) is coloured


def test_a_dumb_terminal_gets_lines(start_pair):
    _, proxy = start_pair()
    with on_terminal("top", "--admin", proxy.admin_url, env={"TERM": "dumb"}) as top:
        eventually(lambda: top.screen.plain.count("BACKEND") >= 2, "two pictures", 20.0)
        assert not top.screen.styles
        top.press(b"\x03")
        assert top.ended() == 0


def test_too_many_watch_and_it_asks_now_and_then(start_pair):
    _, proxy = start_pair()
    viewers = [urllib.request.urlopen(f"{proxy.admin_url}/events", timeout=5.0) for _ in range(100)]
    try:
        with on_terminal("top", "--admin", proxy.admin_url) as top:
            seen(top, "full: every 5 s")
            proxy.ask("POST", PATH, CHAT)
            seen(top, "kept")
            top.press(b"q")
            assert top.ended() == 0
    finally:
        for viewer in viewers:
            viewer.close()
