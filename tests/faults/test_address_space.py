"""Little address space (`ulimit -v`): no start, or refusals of what there may be no room for; it never dies."""

import contextlib
import resource
import threading
from pathlib import Path

import pytest

from tests.faults.asking import PATH, chat
from tests.support.bed import backend_entry
from tests.support.odd_host import odd_host
from tests.support.patience import eventually

MIB = 1 << 20


@pytest.fixture
def config(start_backend):
    return {"backends": [backend_entry(start_backend(), "alpha")]}


def text(size_b):
    return chat(False, messages=[{"role": "user", "content": "x" * size_b}])


def lists(size_b):
    """Many objects: as heavy as a body may be."""
    row = b"[" + b"1," * 31 + b"1],"
    rows = row * (size_b // len(row))
    return b'{"model":"fake-model","messages":[{"role":"user","content":"x"}],"x":[' + rows + b"1]}"


def used_b(proxy):
    pages = int(Path(f"/proc/{proxy.process.pid}/statm").read_text().split()[0])
    return pages * resource.getpagesize()


@pytest.mark.parametrize("mib", [40, 70, 100, 255])
def test_too_little_to_start(config, mib):
    with odd_host(config, "", f"ulimit -v {mib * 1024};") as proxy:
        assert proxy.wait() == 1
        assert f"may use {mib} MiB of address space; at least 256 MiB are needed" in proxy.stderr
        assert "Traceback" not in proxy.stderr


@pytest.mark.in_progress(30 * MIB)
@pytest.mark.parametrize("body", [text, lists])
def test_small_requests_are_served_and_large_ones_refused(config, body):
    with odd_host(config, "", f"ulimit -v {300 * 1024};") as proxy:
        proxy.ready()
        for size_b in (1000, MIB, 8 * MIB, 30 * MIB, 1000):
            answer = proxy.ask("POST", PATH, body(size_b))
            assert answer.status == (200 if size_b <= MIB else 503)
            if size_b > MIB:
                assert answer.error["code"] == "out_of_memory"
                assert answer.head.get("retry-after")
        assert proxy.stop() == 0
        assert "Traceback" not in proxy.stderr


@pytest.mark.in_progress(2 * 20 * MIB)  # more do not fit
def test_many_large_ones_at_once(config):
    with odd_host(config, "", f"ulimit -v {320 * 1024};") as proxy:
        proxy.ready()

        def upload():
            with contextlib.suppress(OSError, ValueError):
                proxy.ask("POST", PATH, text(20 * MIB))

        uploads = [threading.Thread(target=upload) for _ in range(12)]
        for one in uploads:
            one.start()
        for one in uploads:
            one.join()
        assert proxy.process.poll() is None, proxy.stderr
        eventually(lambda: proxy.ask("POST", PATH, chat(False)).status == 200, "small requests served", 5.0)
        assert proxy.stop() == 0


def test_a_limit_that_comes_later_with_little_to_spare(config):
    with odd_host(config) as proxy:
        proxy.ready()
        resource.prlimit(proxy.process.pid, resource.RLIMIT_AS, (used_b(proxy) + 24 * MIB, resource.RLIM_INFINITY))
        eventually(lambda: proxy.ask("POST", PATH, chat(False)).status == 503, "refusals", 3.0)
        for _ in range(20):
            assert proxy.ask("POST", PATH, text(MIB)).status == 503
        assert proxy.admin("/livez") == 200
        assert proxy.metrics().total("tidegate_requests_total", status="503") >= 20
        resource.prlimit(proxy.process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        eventually(lambda: proxy.ask("POST", PATH, chat(False)).status == 200, "served again", 3.0)
        assert proxy.stop() == 0
