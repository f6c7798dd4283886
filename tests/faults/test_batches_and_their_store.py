"""What goes wrong around files and batches: a second proxy on one store, uploads that are cut, a disk that is full, a
clock that jumps over the end of a window."""

import random
import time

import openai
import pytest

from tests.integration.test_batches_live import begun, client, ended, house, line
from tests.support.odd_host import OddHost
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess

CUTS = 20
BODY_B = 3 << 20


def through(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)


def test_a_second_proxy_on_one_store_is_refused_and_the_first_goes_on(start_backend, start_proxy, tmp_path):
    backends = [{"name": "a", "url": start_backend().url}]
    first = start_proxy({"backends": backends, "store": str(tmp_path)})
    second = ProxyProcess({"backends": backends, "store": str(tmp_path)})
    assert second.wait(60.0) == 1
    assert f"Another proxy (process {first.process.pid})" in second.error_text
    with through(first.url) as one:
        assert one.files.create(file=("x", b"{}"), purpose="batch").id


@pytest.mark.in_progress(BODY_B)
def test_an_upload_that_is_cut_leaves_nothing(start_backend, start_proxy, tmp_path):
    proxy = start_proxy({"backends": [{"name": "a", "url": start_backend().url}], "store": str(tmp_path)})
    part = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
    part += b'content-disposition: form-data; name="file"; filename="x"\r\n\r\n'
    chance = random.Random(1)
    head = b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    for _ in range(CUTS):
        connection = proxy.connect()
        connection.send(head + b"content-length: %d\r\n\r\n" % BODY_B)
        connection.send(part + b"x" * chance.randrange(BODY_B // 2))
        connection.close()
    with through(proxy.url) as one:
        assert one.files.list().data == []
        eventually(lambda: not list((tmp_path / "uploads").iterdir()), "no upload is left")
        eventually(lambda: proxy.metrics().total("tidegate_store_bytes") == 0, "nothing is counted any more")
        assert one.files.create(file=("x", b"{}"), purpose="batch").bytes == 2


def test_a_disk_that_is_full_is_told_and_the_proxy_goes_on(start_backend, tmp_path):
    config = {"backends": [{"name": "a", "url": start_backend().url}], "store": str(tmp_path / "store")}
    host = OddHost(tmp_path, config, "", "ulimit -f 2048;")
    try:
        host.ready()
        with through(f"http://127.0.0.1:{host.port}") as one:
            with pytest.raises(openai.APIStatusError) as error:
                one.files.create(file=("x", b"x" * (4 << 20)), purpose="batch")
            assert error.value.status_code == 507
            eventually(lambda: not list((tmp_path / "store/uploads").iterdir()), "no upload is left")
            assert one.files.create(file=("x", b"{}"), purpose="batch").bytes == 2
    finally:
        host.process.terminate()
        host.process.wait(60)


async def test_a_clock_that_jumps_over_the_end_of_a_window_ends_no_batch(tmp_path, monkeypatch):
    real, ahead_s = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    async with house(tmp_path, ahead=2) as live, client(live) as one:
        slow = [line(number, body={**line(number)["body"], "max_tokens": 60}) for number in range(60)]
        batch = await begun(one, slow, completion_window="24h")
        ahead_s = 3 * 86400.0
        batch = await ended(one, batch)
        assert batch.status == "completed"
        assert batch.completed_at - batch.created_at < 3600
        ahead_s = -3 * 86400.0
        assert (await ended(one, await begun(one, slow[:5]))).status == "completed"
