"""Many large uploads at once: as many as there is memory for are served, the others hear so before they are read."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.asking import PATH, chat
from tests.support.memory import COPIES, MIB, memory_peak, settles_at
from tests.support.raw_client import request_bytes

LIMIT_MIB = 300
BODY_B = 24 * MIB
AT_ONCE = 60
CHAT = request_bytes("POST", PATH, chat(False, pad="x" * BODY_B), [("Connection", "close")])
HEAD, _, BODY = CHAT.partition(b"\r\n\r\n")
CHUNKED_HEAD = HEAD.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
STEP_B = 1 << 18
pytestmark = pytest.mark.in_progress(LIMIT_MIB * MIB // 2 // COPIES)
"""Half of the memory is for bodies."""


def upload(proxy, framing):
    with proxy.connect() as connection:
        if framing == "length":
            connection.send(HEAD + b"\r\n\r\n" + BODY)
        else:
            connection.send(CHUNKED_HEAD + b"\r\n\r\n")
            for at in range(0, len(BODY), STEP_B):
                piece = BODY[at : at + STEP_B]
                if not connection.send(b"%x\r\n%b\r\n" % (len(piece), piece)):
                    break
            else:
                connection.send(b"0\r\n\r\n")
        return connection.answer(deadline_s=60.0)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_sixty_uploads_at_once(start_pair, framing):
    engine, proxy = start_pair({"limits": {"memory": {"limit": f"{LIMIT_MIB}MiB"}}})
    with memory_peak(proxy) as memory, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: upload(proxy, framing), range(AT_ONCE)))
    refused = [answer for answer in answers if answer.status == 503]
    assert {answer.status for answer in answers} <= {200, 503}
    assert refused
    assert len(engine.requests) == len(answers) - len(refused)
    for answer in refused:
        assert answer.error["code"] == "out_of_memory"
        assert int(answer.head.get("retry-after")) >= 1
        assert answer.head.get("connection") == "close"
    assert memory.peak_b < LIMIT_MIB * MIB
    assert proxy.metrics().total("tidegate_bodies_refused_total") == len(refused)
    assert upload(proxy, framing).status == 200, "everything was given back"
    assert proxy.metrics().total("tidegate_body_memory_bytes") == 0
    assert proxy.metrics().total("tidegate_body_memory_limit_bytes") == LIMIT_MIB * MIB // 2
    settles_at(proxy, memory.idle_b + 32 * MIB)


def test_some_are_served_while_others_are_refused(start_pair):
    _, proxy = start_pair({"limits": {"memory": {"limit": f"{LIMIT_MIB}MiB"}}})
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: upload(proxy, "length"), range(10)))
    assert sum(answer.status == 200 for answer in answers) >= 3


def test_a_body_that_never_fits_is_too_large(start_pair):
    engine, proxy = start_pair(
        {"limits": {"memory": {"limit": "40MiB", "bodies": 0.5, "shed": 1.0, "close_idle": 1.0}}}
    )
    answer = upload(proxy, "length")
    assert answer.status == 413
    assert "limits.memory.bodies" in answer.error["message"]
    assert not engine.requests
