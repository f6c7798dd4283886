"""A client of many streams in a process of its own, which notes when bytes came and believes nothing else.

Owns its sockets and its clock readings; shares no code with what it measures, and no interpreter with the engine.
"""

import json
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

_PIECE = re.compile(rb'"content": ?"[^"]')
_TOLD = re.compile(rb'"completion_tokens": ?(\d+)')
_END = b"0\r\n\r\n"
_READ_B = 1 << 16
_LONGEST_S = 60.0


class Plan(NamedTuple):
    """One stream to ask for."""

    fake: str
    """`x-fake`: what the engine shall do."""
    id: str
    leaves_after: int = 0
    """Pieces of text after which the client goes; 0: it stays."""
    key: str = ""


@dataclass
class Seen:
    """What came of it. Times are seconds since it was sent."""

    plan: Plan
    status: int = 0
    first_s: float | None = None
    """The first piece of text."""
    took_s: float = 0.0
    pieces: int = 0
    tokens: int | None = None
    """As the engine told."""
    is_whole: bool = False
    has_left: bool = False


_FIELDS = ("status", "first_s", "took_s", "pieces", "tokens", "is_whole", "has_left")


@dataclass
class _Lane:
    address: tuple[str, int]
    end: socket.socket | None = None
    seen: Seen | None = None
    sent: float = 0.0
    got: bytearray = field(default_factory=bytearray)


def stopped(address: tuple[str, int], plans: Iterable[Plan], at_once: int) -> tuple[list[Seen], float]:
    """All of them, so many at once; and how late a thread of this machine wakes up meanwhile, 95th percentile."""
    asked = json.dumps([list(address), at_once, list(plans)])
    command = [sys.executable, "-m", "tests.support.stopwatch"]
    told = json.loads(subprocess.run(command, input=asked.encode(), stdout=subprocess.PIPE, check=True).stdout)
    return [Seen(Plan(*plan), **fields) for plan, fields in told["seen"]], told["late_s"]


def main() -> None:
    """Plans from standard input, what came of them to standard output."""
    (host, port), at_once, plans = json.load(sys.stdin)
    done = list[Seen]()
    with _sleeper() as late:
        _run((host, port), deque(Plan(*plan) for plan in plans), done, at_once)
    seen = [(one.plan, {name: getattr(one, name) for name in _FIELDS}) for one in done]
    json.dump({"seen": seen, "late_s": quantile(late, 0.95)}, sys.stdout)


def _run(address: tuple[str, int], waiting: deque[Plan], done: list[Seen], at_once: int) -> None:
    selector = selectors.DefaultSelector()
    lanes = [_Lane(address) for _ in range(at_once)]
    for lane in lanes:
        _next(lane, waiting, selector)
    until = time.monotonic() + _LONGEST_S
    while any(lane.seen is not None for lane in lanes):
        ready = selector.select(1.0)
        assert time.monotonic() < until, "streams did not end"
        for key, _ in ready:
            seen = _read(key.data)
            if seen is not None:
                done.append(seen)
                _next(key.data, waiting, selector)
    selector.close()
    for lane in lanes:
        if lane.end is not None:
            lane.end.close()


@contextmanager
def _sleeper() -> Iterator[list[float]]:
    """How much longer than it wanted a thread slept each time, seconds."""
    late, stop = [0.0], threading.Event()

    def sleep() -> None:
        while not stop.is_set():
            began = time.monotonic()
            time.sleep(0.005)
            late.append(time.monotonic() - began - 0.005)

    thread = threading.Thread(target=sleep)
    thread.start()
    try:
        yield late
    finally:
        stop.set()
        thread.join()


def quantile(values: Iterable[float], q: float) -> float:
    """The value at this rank."""
    ordered = sorted(values)
    return ordered[int(q * (len(ordered) - 1))]


def _next(lane: _Lane, waiting: deque[Plan], selector: selectors.BaseSelector) -> None:
    seen = lane.seen
    if lane.end is not None and (seen is None or b"data: [DONE]" not in lane.got or not waiting):
        selector.unregister(lane.end)
        lane.end.close()
        lane.end = None
    lane.seen = None
    lane.got.clear()
    if not waiting:
        return
    if lane.end is None:
        lane.end = socket.create_connection(lane.address, 10)
        lane.end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(lane.end, selectors.EVENT_READ, lane)
    lane.seen = Seen(waiting.popleft())
    request = _request(lane.seen.plan)
    lane.sent = time.monotonic()
    lane.end.sendall(request)


def _request(plan: Plan) -> bytes:
    body = {"model": "fake-model", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    data = json.dumps({**body, "stream_options": {"include_usage": True}}).encode()
    key = f"Authorization: Bearer {plan.key}\r\n" if plan.key else ""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Fake: {plan.fake}\r\nX-Request-Id: {plan.id}\r\n{key}Content-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _read(lane: _Lane) -> Seen | None:
    """What came of the stream, once it is over."""
    seen = lane.seen
    assert seen is not None
    assert lane.end is not None
    try:
        data = lane.end.recv(_READ_B)
    except ConnectionError:
        data = b""
    now = time.monotonic() - lane.sent
    seen.took_s = now
    lane.got += data
    if not seen.status and len(lane.got) > 12:
        seen.status = int(lane.got[9:12])
    seen.pieces += len(_PIECE.findall(data))
    if seen.first_s is None and seen.pieces:
        seen.first_s = now
    if seen.plan.leaves_after and seen.pieces >= seen.plan.leaves_after:
        seen.has_left = True
        return seen
    if data and not lane.got.endswith(_END):
        return None
    seen.is_whole = bool(data)
    told = _TOLD.findall(lane.got)
    seen.tokens = int(told[-1]) if told else None
    return seen


if __name__ == "__main__":
    main()
