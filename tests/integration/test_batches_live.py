"""Files and batches over sockets, by the official client: what is uploaded, run, listed, cancelled and read back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch

from tests.support.live_proxy import Live, SimEngine, running

ENDED = ("completed", "failed", "expired", "cancelled")


def line(number: int, **more: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": f"say {number}"}], "max_tokens": 4}
    asked = {"custom_id": f"c{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return {**asked, **more}


def written(lines: list[Any]) -> bytes:
    return b"".join(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in lines)


@asynccontextmanager
async def house(tmp_path: Path, more: str = "", options: str = "", **store: Any) -> AsyncIterator[Live]:
    """A proxy with a store, before one simulated engine; `options`: of its entry."""
    settings = json.dumps({"path": str(tmp_path / "store"), **store})
    async with running(tmp_path, f"store: {settings}\n{more}", [SimEngine("a", options=options)]) as live:
        yield live


def client(live: Live, key: str = "k") -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(verify=False)
    return openai.AsyncOpenAI(base_url=f"{live.proxy.listen_url}/v1", api_key=key, max_retries=0, http_client=http)


async def begun(through: openai.AsyncOpenAI, lines: list[Any], **more: Any) -> Batch:
    file = await through.files.create(file=("in.jsonl", written(lines)), purpose="batch")
    asked: dict[str, Any] = {"endpoint": "/v1/chat/completions", "completion_window": "24h", **more}
    return await through.batches.create(input_file_id=file.id, **asked)


async def ended(through: openai.AsyncOpenAI, batch: Batch, seconds: float = 60) -> Batch:
    async with asyncio.timeout(seconds):
        while batch.status not in ENDED:
            await asyncio.sleep(0.05)
            batch = await through.batches.retrieve(batch.id)
    return batch


async def rows(through: openai.AsyncOpenAI, file: str | None) -> list[dict[str, Any]]:
    assert file is not None
    text = (await through.files.content(file)).text
    return [json.loads(row) for row in text.splitlines()]


async def test_a_batch_comes_to_its_end_and_every_line_has_one_result(tmp_path: Path) -> None:
    async with house(tmp_path) as live, client(live) as through:
        batch = await begun(through, [line(number) for number in range(40)], metadata={"job": "x"})
        assert (batch.status, batch.endpoint, batch.metadata) == ("validating", "/v1/chat/completions", {"job": "x"})
        batch = await ended(through, batch)
        assert batch.status == "completed", batch
        assert batch.request_counts is not None
        assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (40, 40, 0)
        assert None not in (batch.in_progress_at, batch.finalizing_at, batch.completed_at)
        assert batch.error_file_id is None
        found = await rows(through, batch.output_file_id)
        assert [row["custom_id"] for row in found] == [f"c{number}" for number in range(40)]
        assert {row["response"]["status_code"] for row in found} == {200}
        assert all(row["response"]["body"]["choices"] and row["error"] is None for row in found)
        assert batch.usage is not None
        assert batch.usage.output_tokens == sum(r["response"]["body"]["usage"]["completion_tokens"] for r in found)


async def test_files_are_uploaded_listed_read_and_deleted(tmp_path: Path) -> None:
    async with house(tmp_path) as live, client(live) as through:
        data = written([line(1)]) + b"\xff\x00--\r\n--x" * 50_000
        made = [await through.files.create(file=(f"{n}.jsonl", data), purpose="batch") for n in range(3)]
        assert [(one.bytes, one.purpose, one.object) for one in made] == [(len(data), "batch", "file")] * 3
        assert (await through.files.content(made[0].id)).content == data
        assert (await through.files.retrieve(made[1].id)).filename == "1.jsonl"
        page = await through.files.list(limit=2)
        assert [one.id for one in page.data] == [made[2].id, made[1].id]
        assert [one.id async for one in page] == [one.id for one in reversed(made)]
        assert [one.id async for one in through.files.list(order="asc")] == [one.id for one in made]
        assert [one.id async for one in through.files.list(purpose="batch_output")] == []
        assert (await through.files.delete(made[0].id)).deleted
        for gone in (through.files.retrieve(made[0].id), through.files.content(made[0].id)):
            with pytest.raises(openai.NotFoundError):
                await gone
        assert sorted(path.name for path in (tmp_path / "store/files").iterdir()) == sorted(o.id for o in made[1:])


async def test_others_find_nothing(tmp_path: Path) -> None:
    keys = "".join(
        f"  - {{tenant: {name}, keys: [{{digest: 'sha256:{sha256(name.encode()).hexdigest()}'}}]}}\n" for name in "ab"
    )
    async with (
        house(tmp_path, f"auth: keys\ntenants:\n{keys}") as live,
        client(live, "a") as one,
        client(live, "b") as two,
    ):
        batch = await ended(one, await begun(one, [line(1)]))
        assert batch.status == "completed"
        assert batch.output_file_id is not None
        for asked in (
            two.batches.retrieve(batch.id),
            two.batches.cancel(batch.id),
            two.files.retrieve(batch.input_file_id),
            two.files.content(batch.output_file_id),
            two.files.delete(batch.output_file_id),
        ):
            with pytest.raises(openai.NotFoundError):
                await asked
        with pytest.raises(openai.BadRequestError, match="There is no file"):
            await two.batches.create(
                input_file_id=batch.input_file_id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        assert [x.id async for x in two.batches.list()] == []
        assert [x.id async for x in one.batches.list()] == [batch.id]
        assert len([x async for x in one.files.list()]) == 2


WRONG: list[tuple[list[Any], str, int | None]] = [
    ([line(1), b"{nonsense\n"], "invalid_json_line", 2),
    ([b"[1]\n"], "invalid_json_line", 1),
    ([line(1), line(1)], "duplicate_custom_id", 2),
    ([line(1, url="/v1/embeddings")], "invalid_url", 1),
    ([line(1, method="GET")], "invalid_method", 1),
    ([line(1, body={"model": "m", "stream": True})], "stream_unsupported", 1),
    ([line(1), line(2, body={"model": "other"})], "mismatched_model", 2),
    ([line(1, body=None)], "missing_required_parameter", 1),
    ([line(1, custom_id=5)], "missing_required_parameter", 1),
    ([line(1), line(2, pad="x" * 5000)], "line_too_long", 2),
    ([line(number) for number in range(60)], "too_many_lines", None),
    ([], "empty_file", None),
    ([b"\n \n"], "empty_file", None),
]


async def test_input_that_is_no_batch_is_refused_with_what_is_wrong_with_it(tmp_path: Path) -> None:
    async with house(tmp_path, line="4KiB", lines=50) as live, client(live) as through:
        for lines, code, number in WRONG:
            batch = await ended(through, await begun(through, lines))
            assert batch.status == "failed"
            assert batch.errors is not None
            assert batch.errors.data is not None
            assert [(one.code, one.line) for one in batch.errors.data] == [(code, number)]
            assert batch.request_counts is not None
            assert (batch.request_counts.total, batch.output_file_id) == (0, None)


async def test_a_line_that_engines_refuse_fails_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as live, client(live) as through:
        bad = line(2, body={"model": "m", "messages": []})
        batch = await ended(through, await begun(through, [line(1), bad, line(3)]))
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
        assert [row["custom_id"] for row in await rows(through, batch.output_file_id)] == ["c1", "c3"]
        (failed,) = await rows(through, batch.error_file_id)
        assert failed["custom_id"] == "c2"
        assert failed["response"]["status_code"] == 400
        assert failed["response"]["body"]["error"]["param"] == "messages"


async def test_wrong_requests_are_told(tmp_path: Path) -> None:
    async with house(tmp_path, file="1MiB", files=2) as live, client(live) as through:
        with pytest.raises(openai.BadRequestError, match="purpose"):
            await through.files.create(file=("x", b"{}"), purpose="fine-tune")
        with pytest.raises(openai.APIStatusError) as large:
            await through.files.create(file=("x", b"x" * 1_100_000), purpose="batch")
        assert large.value.status_code == 413
        file = await through.files.create(file=("x", b"{}"), purpose="batch")
        for wrong in (
            {"endpoint": "/v1/images"},
            {"completion_window": "soon"},
            {"metadata": {"a": "x" * 600}},
            {"input_file_id": "file-none"},
        ):
            asked: dict[str, Any] = {
                "input_file_id": file.id,
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
                **wrong,
            }
            with pytest.raises(openai.BadRequestError):
                await through.batches.create(**asked)
        with pytest.raises(openai.NotFoundError):
            await through.batches.retrieve("batch_none")
        await through.files.create(file=("x", b"{}"), purpose="batch")
        with pytest.raises(openai.BadRequestError, match="2 files"):
            await through.files.create(file=("x", b"{}"), purpose="batch")
        assert not list((tmp_path / "store/uploads").iterdir())


async def test_cancelled_within_seconds_and_what_is_done_is_kept(tmp_path: Path) -> None:
    async with house(tmp_path, ahead=4) as live, client(live) as through:
        slow = [line(number, body={**line(number)["body"], "max_tokens": 200}) for number in range(400)]
        batch = await begun(through, slow)
        async with asyncio.timeout(60):
            while (batch.request_counts is None) or batch.request_counts.completed < 3:
                await asyncio.sleep(0.05)
                batch = await through.batches.retrieve(batch.id)
        with pytest.raises(openai.BadRequestError, match=batch.id):
            await through.files.delete(batch.input_file_id)
        assert (await through.batches.cancel(batch.id)).status in ("cancelling", "cancelled")
        batch = await ended(through, batch, 20)
        assert batch.status == "cancelled"
        assert batch.request_counts is not None
        found = await rows(through, batch.output_file_id)
        assert 3 <= len(found) == batch.request_counts.completed < 400
        assert (await through.batches.cancel(batch.id)).status == "cancelled", "again changes nothing"
        assert (await through.files.delete(batch.input_file_id)).deleted


async def test_a_window_that_is_over_keeps_what_is_done_and_says_what_is_not(tmp_path: Path) -> None:
    async with house(tmp_path, ahead=4) as live, client(live) as through:
        slow = [line(number, body={**line(number)["body"], "max_tokens": 300}) for number in range(300)]
        batch = await begun(through, slow, completion_window="1m")
        kept = live.proxy._batches._keeper
        assert kept is not None
        async with asyncio.timeout(60):
            while (batch.request_counts is None) or batch.request_counts.completed < 3:
                await asyncio.sleep(0.05)
                batch = await through.batches.retrieve(batch.id)
        (life,) = kept._lives.values()
        assert life.running is not None
        life.over.set()
        batch = await ended(through, batch, 20)
        assert batch.status == "expired"
        good, bad = await rows(through, batch.output_file_id), await rows(through, batch.error_file_id)
        assert sorted(int(row["custom_id"][1:]) for row in good + bad) == list(range(300))
        assert {row["error"]["code"] for row in bad} == {"batch_expired"}
        assert batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (len(good), len(bad))


async def test_embeddings_go_through_windows(tmp_path: Path) -> None:
    async with house(tmp_path) as live, client(live) as through:
        lines = [
            {"custom_id": f"c{n}", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": f"x{n}"}}
            for n in range(30)
        ]
        batch = await ended(through, await begun(through, lines, endpoint="/v1/embeddings"))
        assert batch.status == "completed"
        found = await rows(through, batch.output_file_id)
        assert [row["custom_id"] for row in found] == [f"c{n}" for n in range(30)]
        assert all(len(row["response"]["body"]["data"]) == 1 for row in found)


async def test_without_a_store_the_routes_pass_as_ever(tmp_path: Path) -> None:
    async with running(tmp_path, "", [SimEngine("a")]) as live:
        answer = await live.send("GET", "/v1/files")
        assert answer.headers["x-tidegate-route"]


async def test_where_the_store_is_elsewhere_that_is_said(tmp_path: Path) -> None:
    elsewhere = "store: {url: 'http://10.0.0.9:8080'}\n"
    async with running(tmp_path, elsewhere, [SimEngine("a")]) as live, client(live) as through:
        with pytest.raises(openai.APIStatusError, match=r"10\.0\.0\.9:8080") as error:
            await through.files.create(file=("x", b"x" * 2_000_000), purpose="batch")
        assert error.value.status_code == 421
        with pytest.raises(openai.APIStatusError) as error:
            await through.batches.list()
        assert error.value.status_code == 421
