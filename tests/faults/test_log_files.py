"""Log files that are rotated, moved away, full or unread pipes while requests go on: no row is lost where there is room
for it, nobody waits, and what is lost is counted and said once."""

import csv
import json
import os
import signal
import threading
from contextlib import suppress

import pytest

from proxy.obs.csv_log import COLUMNS
from tests.faults.asking import CHAT, PATH
from tests.support.bed import backend_entry
from tests.support.odd_host import odd_host
from tests.support.patience import eventually, never
from tests.support.raw_client import RawConnection, request_bytes

REQUESTS = 200


@pytest.fixture
def engine(start_backend):
    return backend_entry(start_backend(), "alpha", hardware="CPU, 2 cores", precision="fp32")


def logging_to(engine, **log):
    return {"backends": [engine], "log": {key: str(value) for key, value in log.items()}}


def rows(*files):
    found = []
    for file in files:
        with file.open(newline="") as text:
            reader = csv.DictReader(text, strict=True)
            found += list(reader)
            assert tuple(reader.fieldnames) == COLUMNS
    return found


def served(files):
    return [row for row in rows(*files) if row["model"] == CHAT["model"]]


def ask_often(proxy, times, name=""):
    with RawConnection(proxy.address) as connection:
        for number in range(times):
            connection.send(request_bytes("POST", PATH, CHAT, [("x-request-id", f"{name}-{number}")]))
            assert connection.answer().status == 200


def test_rotated_and_moved_away_under_load_without_a_lost_row(engine, tmp_path):
    """Rotation by size of one log, and logrotate's move and SIGUSR1 for the other, while four clients ask."""
    table, lines = tmp_path / "rows.csv", tmp_path / "access.log"
    config = logging_to(engine, csv=table, file=lines, rotate="4KiB")
    config["log"]["keep"] = 1000
    with odd_host(config, "", "", "--log-format", "json") as proxy:
        proxy.ready()
        clients = [threading.Thread(target=ask_often, args=(proxy, REQUESTS, str(number))) for number in range(4)]
        for client in clients:
            client.start()
        moves = 0
        while any(client.is_alive() for client in clients):
            with suppress(FileNotFoundError):  # not opened anew yet, or just rotated by size
                lines.rename(tmp_path / f"moved-{moves}")
                moves += 1
            proxy.signal(signal.SIGUSR1)
            clients[0].join(0.05)
        for client in clients:
            client.join()
        assert proxy.metrics().total("tidegate_log_lines_dropped_total") == 0
        assert proxy.stop() == 0
        told = [json.loads(line) for line in proxy.stderr.splitlines()]
        assert any("SIGUSR1: log files opened anew: 2" in line["message"] for line in told)
    assert moves > 1
    tables = [table, *tmp_path.glob("rows.csv.*")]
    assert len(tables) > 4
    assert all(file.stat().st_size <= 4096 for file in tables)
    assert len(served(tables)) == 4 * REQUESTS
    texts = [file.read_text() for pattern in ("access.log*", "moved-*") for file in tmp_path.glob(pattern)]
    ids = [json.loads(line)["id"] for text in texts for line in text.splitlines()]
    assert {f"{client}-{number}" for client in range(4) for number in range(REQUESTS)} <= set(ids)
    assert len(ids) == len(set(ids))


def test_a_pipe_that_nobody_reads_keeps_nobody(engine, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with odd_host(logging_to(engine, csv=pipe), "", "", "--log-format", "json") as proxy:
        proxy.ready()
        ask_often(proxy, REQUESTS)
        eventually(lambda: proxy.metrics().total("tidegate_log_lines_dropped_total", log="csv") >= REQUESTS, "lost")
        assert proxy.metrics().total("tidegate_log_lines_dropped_total") == proxy.metrics().total(
            "tidegate_log_lines_dropped_total", log="csv"
        )
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reading, True)
        ask_often(proxy, 1)
        seen = os.read(reading, 10_000).decode()
        while seen.count("\n") < 2:
            seen += os.read(reading, 10_000).decode()
        assert seen.splitlines()[0] == ",".join(COLUMNS)
        assert seen.splitlines()[-1].endswith(",--")
        os.close(reading)
        assert proxy.stop() == 0
        said = [json.loads(line)["message"] for line in proxy.stderr.splitlines()]
        assert sum("CSV log cannot be written: nobody reads the pipe" in line for line in said) == 1
        assert sum("CSV log can be written again" in line for line in said) == 1


def test_a_full_disk_is_said_once_and_the_table_stays_whole(engine, tmp_path):
    """`ulimit -f` counts in KiB: there is room for some rows and no more."""
    table = tmp_path / "rows.csv"
    with odd_host(logging_to(engine, csv=table), "", "ulimit -f 8;", "--log-format", "json") as proxy:
        proxy.ready()
        ask_often(proxy, REQUESTS)
        eventually(lambda: proxy.metrics().total("tidegate_log_lines_dropped_total", log="csv") > 0, "lost rows")
        assert proxy.stop() == 0
        assert proxy.stderr.count("CSV log cannot be written: file too large") == 1
    kept = served([table])
    assert 0 < len(kept) < REQUESTS
    assert all(row["end_code"] == "--" for row in kept)


def test_a_table_in_a_folder_that_comes_later(engine, tmp_path):
    table = tmp_path / "later" / "rows.csv"
    with odd_host(logging_to(engine, csv=table)) as proxy:
        proxy.ready()
        assert "no such file or directory" in proxy.stderr
        table.parent.mkdir()
        ask_often(proxy, 1)
        eventually(lambda: table.exists() and served([table]), "the first row")
        assert proxy.stop() == 0


def test_what_a_row_says(engine, tmp_path):
    table = tmp_path / "rows.csv"
    with odd_host(logging_to(engine, csv=table)) as proxy:
        proxy.ready()
        for body, script in ((CHAT, []), ({**CHAT, "stream": True}, [("x-fake", "stream 5 0.02")])):
            assert proxy.ask("POST", PATH, body, script).status == 200
        assert proxy.ask("POST", PATH, {**CHAT, "model": '=cmd("a"),'}).status == 404
        assert proxy.stop() == 0
    whole, stream, refused = [row for row in rows(table) if row["model"] in (CHAT["model"], '\'=cmd("a"),')]
    for row in (whole, stream):
        known = ("hardware", "precision", "server", "concurrency", "success", "end_code")
        assert [row[name] for name in known] == ["CPU, 2 cores", "fp32", "alpha", "1", "1", "--"]
        assert int(row["output_tokens"]) > 0
        assert float(row["e2e_ms"]) > 0
    assert whole["ttft_ms"] == whole["tpot_ms"] == ""
    assert 0 < float(stream["ttft_ms"]) < float(stream["e2e_ms"])
    assert float(stream["tpot_ms"]) > 0
    assert (refused["server"], refused["concurrency"], refused["success"]) == ("", "", "0")
    assert refused["end_code"] == "CR"


def test_logs_beside_the_configuration_that_is_watched_make_no_lines_of_their_own(engine):
    """What is written to a watched folder is a change of it: a line about that would be the next one."""
    with odd_host({"backends": [engine]}, "", "", "--log-format", "json", "--log-level", "debug") as proxy:
        proxy.ready()
        ask_often(proxy, 20)
        before = eventually(lambda: proxy.stderr.count("\n"), "the banner")
        never(lambda: proxy.stderr.count("\n") > before + 5, "lines without end", 1.5)
        assert "change detected" not in proxy.stderr
        assert proxy.stop() == 0
