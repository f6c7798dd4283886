"""Uploads cut at random bytes give everything back at once: no cycle waits for a collection that hardly ever comes."""

import random

import pytest

from tests.faults.asking import PATH, chat
from tests.support.memory import MIB, settles_at
from tests.support.raw_client import request_bytes

UPLOADS = 40
BODY_B = 24 * MIB
pytestmark = pytest.mark.in_progress(BODY_B)
WHOLE = request_bytes("POST", PATH, chat(False, pad="x" * BODY_B))
GZIP_HEAD = WHOLE.replace(b"Content-Type", b"Content-Encoding: gzip\r\nContent-Type", 1)


def chunked(data):
    head, _, body = data.partition(b"\r\n\r\n")
    length = head.index(b"Content-Length")
    head = head[:length] + b"Transfer-Encoding: chunked" + head[head.index(b"\r\n", length) :]
    step = 1 << 18
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    return head + b"\r\n\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


KINDS = {"length": WHOLE, "chunked": chunked(WHOLE), "gzip": GZIP_HEAD}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["close", "reset"])
def test_memory_is_as_before(start_pair, kind, way):
    engine, proxy = start_pair()
    proxy.ask("POST", PATH, chat(False))
    chance = random.Random(kind + way)
    wire = KINDS[kind]
    idle_b = proxy.rss_b()
    for _ in range(UPLOADS):
        connection = proxy.connect()
        connection.send(wire[: chance.randrange(200, len(wire))])
        getattr(connection, way)()
        connection.close()
    settles_at(proxy, idle_b + 32 * MIB)
    assert len(engine.requests) == 1


def test_the_budget_is_whole_again(start_pair):
    """Each upload takes two thirds of what there is: the next one fits only when the one before was given back."""
    _, proxy = start_pair({"limits": {"memory": {"limit": "144MiB", "shed": 1.0, "shed_bulk": 1.0, "close_idle": 1.0}}})
    for number in range(8):
        connection = proxy.connect()
        connection.send(WHOLE[: 1000 + number * MIB])
        connection.close()
    assert proxy.ask("POST", PATH, chat(False, pad="x" * BODY_B), deadline_s=30.0).status == 200
