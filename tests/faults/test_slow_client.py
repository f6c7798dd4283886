"""A client that reads slowly slows its own engine only; one that stops reading is given up."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.asking import PATH, chat, script
from tests.support.fake_engine import chat_chunk, event, stream_head
from tests.support.http_bytes import chunk
from tests.support.memory import settles_at
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes

MIB = 1 << 20


async def flood(exchange):
    """Events without end, as fast as they are taken."""
    await exchange.send(stream_head())
    data = chunk(event(chat_chunk({"content": "x" * 8000})))
    while True:
        await exchange.send(data)


def test_a_stalled_reader_costs_little_memory_and_holds_only_its_own_engine_back(start_pair):
    engine, proxy = start_pair()
    sent = {}

    async def counted_flood(exchange):
        sent[exchange.request.number] = exchange
        await flood(exchange)

    engine.scripts["flood"] = counted_flood
    before_b = proxy.rss_b()
    stalled = [proxy.connect(receive_buffer_b=16384) for _ in range(10)]
    for connection in stalled:
        connection.send(request_bytes("POST", PATH, chat(True), script("flood")))
    engine.wait_for_request(10)
    last = [-1]

    def steady() -> bool:
        time.sleep(0.2)
        now = sum(exchange.sent_b for exchange in sent.values())
        last.append(now)
        return last[-1] == last[-2]

    eventually(steady, "the engines held back", 8.0)
    assert last[-1] < 10 * 12 * MIB
    assert proxy.rss_b() - before_b < 10 * MIB
    started = time.monotonic()
    assert proxy.ask("POST", PATH, chat(True)).complete
    assert time.monotonic() - started < 2.0
    for connection in stalled:
        connection.close()
    eventually(lambda: engine.open_requests == 0, "the engines freed", 2.0)


def test_a_client_that_takes_nothing_is_given_up(start_pair):
    engine, proxy = start_pair({"limits": {"connections": {"write_stall": "700ms"}}})
    engine.scripts["flood"] = flood
    with proxy.connect(receive_buffer_b=16384) as connection:
        connection.send(request_bytes("POST", PATH, chat(True), script("flood", "stalled")))
        request = engine.wait_for_request()
        eventually(lambda: request.aborted_at, "the engine freed", 8.0)
    line = proxy.log_line("stalled")
    assert (line["end"], line["outcome"], line["fault"]) == ("CS", "cancelled", "write_stall")


def test_the_kernel_keeps_nothing_for_who_was_given_up(start_pair):
    """A FIN would wait behind what is never read, and with it some hundred KB of the kernel's memory, for minutes."""
    engine, proxy = start_pair({"limits": {"connections": {"write_stall": "500ms"}}})
    engine.scripts["flood"] = flood
    with proxy.connect(receive_buffer_b=16384) as connection:
        connection.send(request_bytes("POST", PATH, chat(True), script("flood", "kept")))
        assert proxy.log_line("kept", 8.0)["end"] == "CS"
        ours = f"{proxy.port:04X} 0100007F:{connection.socket.getsockname()[1]:04X}"
        eventually(lambda: ours not in Path("/proc/net/tcp").read_text(), "the socket gone", 2.0)


@pytest.mark.in_progress(250 * 256 * 1024)
def test_memory_of_stalled_readers_goes_back_when_it_is_short(start_pair):
    """Else a proxy that holds nothing any more would go on refusing."""
    memory = {"limit": "100MiB", "close_idle": 0.7, "shed_bulk": 1.0, "shed": 1.0}
    engine, proxy = start_pair({"limits": {"memory": memory, "connections": {"write_stall": "60s"}}})
    engine.scripts["flood"] = flood
    with ExitStack() as stack:
        stalled = [stack.enter_context(proxy.connect(receive_buffer_b=4096)) for _ in range(250)]
        for connection in stalled:
            connection.send(request_bytes("POST", PATH, chat(True), script("flood")))
        eventually(lambda: proxy.rss_b() > 80 * MIB, "much memory used", 30.0)
    settles_at(proxy, 75 * MIB)


def test_a_slow_reader_gets_everything(start_pair):
    engine, proxy = start_pair({"limits": {"connections": {"write_stall": "2s"}}})

    async def much(exchange):
        await exchange.send(stream_head())
        for number in range(300):
            await exchange.send(chunk(event(chat_chunk({"content": f"<{number}>" + "x" * 8000}))))
        await exchange.send(chunk(event(chat_chunk({}, "stop"))) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    engine.scripts["much"] = much
    with proxy.connect(receive_buffer_b=16384) as connection:
        connection.send(request_bytes("POST", PATH, chat(True), script("much")))
        connection.answer_head()
        got = bytearray()
        for number, piece in enumerate(connection.chunks(30.0)):
            got += piece
            if number % 30 == 0:
                time.sleep(0.05)
    assert all(b"<%d>" % number in got for number in range(300))
    assert got.endswith(b"data: [DONE]\n\n")
