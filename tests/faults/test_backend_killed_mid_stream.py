"""An engine that dies while it streams: the client sees an error, never an end that looks like one."""

import asyncio
import threading

import pytest

from tests.faults.asking import PATH, chat, error_event, events, script
from tests.support.http_bytes import chunk
from tests.support.raw_client import request_bytes


@pytest.mark.parametrize("ending", ["reset", "close"])
def test_the_stream_ends_in_an_error_event(proxy, ending):
    answer = proxy.ask("POST", PATH, chat(True), script(f"stream-then 3 {ending}", f"cut-{ending}"))
    assert answer.status == 200
    assert [text for text in events(answer) if "t2 " in text]
    error = error_event(answer)
    assert "alpha" in error["message"]
    line = proxy.log_line(f"cut-{ending}")
    assert (line["end"], line["outcome"], line["backend"]) == ("US", "failed", "alpha")


def test_a_killed_process_takes_all_its_streams_with_it_and_the_proxy_lives(start_pair):
    engine, proxy = start_pair()
    connections = [proxy.connect() for _ in range(5)]
    for connection in connections:
        connection.send(request_bytes("POST", PATH, chat(True), script("stream 1000 0.02")))
    engine.wait_for_request(5)
    engine.stop()
    for connection in connections:
        assert error_event(connection.answer())
        connection.close()
    engine.start()
    engine.forget()
    assert proxy.ask("POST", PATH, chat(False)).status == 200


@pytest.mark.parametrize("ending", ["reset", "close"])
def test_a_whole_answer_cut_in_its_body_is_a_clean_error(proxy, ending):
    answer = proxy.ask("POST", PATH, chat(False), script(f"body-then {ending}"))
    assert answer.status == 502
    assert "padding" not in answer.body.decode()
    assert answer.error["message"]


def test_a_large_answer_cut_in_its_body_breaks_the_connection(start_pair):
    engine, proxy = start_pair({"limits": {"upstream": {"answer_buffer": "1KiB"}}})

    async def cut(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500000\r\n\r\n")
        await exchange.send(b"{" + b" " * 200_000)
        exchange.close()

    engine.scripts["cut"] = cut
    answer = proxy.ask("POST", PATH, chat(False), script("cut"))
    assert not (answer.status == 200 and answer.complete)


def test_where_only_the_end_of_the_connection_ends_an_answer_a_cut_one_is_reset(start_pair):
    """HTTP/1.0, as nginx speaks it to what is behind it by default: a FIN would make half an answer a whole one."""
    engine, proxy = start_pair({"limits": {"upstream": {"answer_buffer": "1KiB"}}})

    async def cut(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        await exchange.send(chunk(b"{" + b" " * 20_000))
        await asyncio.to_thread(begun.wait, 5.0)
        exchange.close()

    begun = threading.Event()
    engine.scripts["cut"] = cut
    request = request_bytes("POST", PATH, chat(False), script("cut")).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with proxy.connect() as connection:
        connection.send(request)
        assert connection.socket.recv(65536).startswith(b"HTTP/1.1 200")
        begun.set()
        with pytest.raises(ConnectionResetError):
            while connection.socket.recv(65536):
                pass
