"""An engine that dies while it streams: the client sees an error, never an end that looks like one."""

import pytest

from tests.faults.asking import PATH, chat, error_event, events, script
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
