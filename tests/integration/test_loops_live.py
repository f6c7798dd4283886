"""A way that leads back: through ourselves, through another proxy, through something in between; ended at once."""

import asyncio
import socket

import pytest

from tests.support.bed import backend_entry
from tests.support.proxy_process import running_proxy

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
PATH = "/v1/chat/completions"


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def looped(answer):
    assert answer.status == 508
    assert answer.error["code"] == "loop_detected"
    assert answer.head.get("x-should-retry") == "false"


@pytest.mark.parametrize("stream", [False, True])
def test_something_between_leads_back(start_backend, start_proxy, stream):
    engine = start_backend()
    proxy = start_proxy({"backends": [backend_entry(engine, "alpha")]})

    async def leads_back(exchange):
        reader, writer = await asyncio.open_connection(*proxy.address)
        head = exchange.request.raw_head.replace(b"Host:", b"host:")
        writer.write(head + exchange.request.body)
        await exchange.send(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1))
        await exchange.send(await reader.read(65536))
        writer.close()

    engine.scripts["back"] = leads_back
    answer = proxy.ask("POST", PATH, {**CHAT, "stream": stream}, [("x-fake", "back"), ("x-request-id", "loop")])
    looped(answer)
    assert len(engine.requests) == 1, "ended at the first return"


def test_two_proxies_in_a_circle():
    one, two = free_ports(2)
    entry = {"name": "other", "models": ["fake-model"]}
    with (
        running_proxy({"backends": [{**entry, "url": f"http://127.0.0.1:{two}"}]}, "--listen", f"127.0.0.1:{one}") as a,
        running_proxy({"backends": [{**entry, "url": f"http://127.0.0.1:{one}"}]}, "--listen", f"127.0.0.1:{two}") as b,
    ):
        for proxy in (a.listening(), b.listening()):
            looped(proxy.ask("POST", PATH, CHAT))
        assert a.metrics().total("tidegate_requests_total", endpoint="chat.completions") <= 3
        assert b.metrics().total("tidegate_requests_total", endpoint="chat.completions") <= 3


def test_three_in_a_row_are_no_circle(start_backend, start_proxy):
    engine = start_backend()
    quick = {"limits": {"upstream": {"keepalive": "100ms"}}}
    first = start_proxy({"backends": [backend_entry(engine, "alpha")], **quick})
    second = start_proxy({"backends": [{"name": "p1", "url": first.url}], **quick})
    third = start_proxy({"backends": [{"name": "p2", "url": second.url}], **quick})
    assert third.ask("POST", PATH, CHAT, [("Via", "1.0 edge")]).status == 200
    marks = [value for name, value in engine.requests[-1].head.fields if name.lower() == "via"]
    hops = [hop.split()[1] for value in marks for hop in value.split(",")]
    assert hops[0] == "edge"
    assert len(hops) == len(set(hops)) == 4
    assert all(hop.startswith("tidegate-") for hop in hops[1:])


def test_probes_are_marked_and_a_row_without_end_is_refused(start_pair):
    engine, proxy = start_pair()
    assert all(request.header("via").startswith("1.1 tidegate-") for request in engine.probes)
    many = ", ".join(f"1.1 tidegate-{number:x}" for number in range(8))
    looped(proxy.ask("POST", PATH, CHAT, [("Via", many)]))
    assert not engine.requests
