"""Batches on the page: a panel where there is a store, and a bar for each that runs."""

import json

from tests.page.test_page import text
from tests.support.engine_scripts import SCRIPTS
from tests.support.fake_engine import well_behaved
from tests.support.patience import eventually


def test_without_a_store_there_is_no_panel(start_pair, open_page):
    _, proxy = start_pair()
    assert open_page(proxy).locator("#batches").is_hidden()


async def answers_no_request(exchange):
    await (SCRIPTS["hang"] if exchange.request.method == "POST" else well_behaved)(exchange)


def test_a_batch_that_runs_has_a_bar(start_pair, open_page, tmp_path):
    _, proxy = start_pair(default=answers_no_request, config={"store": str(tmp_path)})
    body = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
    form = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
    form += b'content-disposition: form-data; name="file"; filename="x"\r\n\r\n'
    for name in "abc":
        asked = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
        form += json.dumps(asked).encode() + b"\n"
    file = proxy.ask(
        "POST", "/v1/files", form + b"\r\n--b--\r\n", [("Content-Type", "multipart/form-data; boundary=b")]
    )
    batch = {"input_file_id": file.json()["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    name = proxy.ask("POST", "/v1/batches", batch).json()["id"]

    def status() -> str:
        return proxy.ask("GET", f"/v1/batches/{name}").json()["status"]

    eventually(lambda: proxy.metrics().total("tidegate_batch_lines", state="running") == 3, "its lines are out")
    page = open_page(proxy)
    assert page.locator("#batches").is_visible()
    assert name in text(page, "#batches")
    assert "0 of 3" in text(page, "#batches")
    assert "20.0 GiB" in text(page, "#batches") or "20 GiB" in text(page, "#batches")
    proxy.ask("POST", f"/v1/batches/{name}/cancel")
    eventually(lambda: status() == "cancelled", "it is cancelled")
