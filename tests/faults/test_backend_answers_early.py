"""An engine that answers before it has read the request: the client gets that answer, and the next one its own."""

import asyncio
import contextlib
import re
import time

import pytest

from tests.faults.asking import PATH, chat
from tests.support.raw_engine import JSON_HEAD, raw_engine

REFUSAL = b'{"error":{"message":"too large for me","type":"invalid_request_error","param":null,"code":"too_large"}}'
GOOD = b'{"choices":[]}'


def body_b(head):
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else 0


def refusing(status, *, closes):
    """Answers large requests from their head alone, others properly."""

    async def serve(head, reader, writer):
        size = body_b(head)
        if size > 1000:
            answer = REFUSAL if status >= 400 else GOOD
            writer.write((JSON_HEAD % len(answer)).replace(b"200 OK", b"%d Early" % status) + answer)
            await writer.drain()
            if closes:
                raise ConnectionAbortedError
            await asyncio.sleep(3600)  # and never reads the rest
        await reader.readexactly(size)
        writer.write(JSON_HEAD % len(GOOD) + GOOD)

    return serve


@pytest.mark.parametrize("size", [200_000, 8_000_000])
@pytest.mark.parametrize("closes", [False, True], ids=["stays", "closes"])
@pytest.mark.parametrize("status", [200, 400, 413])
def test_an_early_answer_arrives_and_the_next_request_does_not_wait_behind_it(bed, start_proxy, status, closes, size):
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(raw_engine(bed.loop, refusing(status, closes=closes)))
        proxy = start_proxy({"backends": [{"name": "alpha", "url": engine.url}]})
        for _ in range(3):
            large = chat(False, padding="x" * size)
            answer = proxy.ask("POST", PATH, large)
            assert answer.status == status, answer.body
            assert status < 400 or answer.error["code"] == "too_large"
            began = time.monotonic()
            assert proxy.ask("POST", PATH, chat(False)).json() == {"choices": []}
            assert time.monotonic() - began < 2.0
        proxy.stop()
