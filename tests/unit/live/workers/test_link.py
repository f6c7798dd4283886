"""Frames, whatever the pieces in which they come, and everything that is none."""

import asyncio
import marshal
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.live.workers import link as link_module
from proxy.live.workers.link import FRAME_B, Link, Message


class End:
    """One end, and what it heard."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.lost: list[str] = []
        self.link = Link(asyncio.get_running_loop(), self.heard.append, self.lost.append)

    async def until(self, attribute: str, count: int) -> None:
        async with asyncio.timeout(10):
            while len(getattr(self, attribute)) < count:
                await asyncio.sleep(0.001)


@pytest.fixture
async def end() -> AsyncIterator[tuple[End, socket.socket]]:
    """One end, and the bare socket at the other."""
    ours, theirs = socket.socketpair()
    made = End()
    await asyncio.get_running_loop().create_connection(lambda: made.link, sock=ours)
    theirs.setblocking(False)
    yield made, theirs
    made.link.close()
    theirs.close()
    await asyncio.sleep(0.01)  # transports close in the turns after


def frame(*messages: Any) -> bytes:
    said = marshal.dumps([*messages])
    return struct.pack("<I", len(said)) + said


def messages(said: bytes) -> list[Message]:
    """Of the first frame."""
    (length,) = struct.unpack_from("<I", said)
    found: list[Message] = marshal.loads(said[4 : 4 + length])
    return found


async def test_what_is_sent_in_one_turn_is_one_write(end: tuple[End, socket.socket]) -> None:
    made, theirs = end
    for number in range(3):
        made.link.send((7, number))
    await asyncio.sleep(0.01)
    assert messages(theirs.recv(1 << 16)) == [(7, 0), (7, 1), (7, 2)]


@pytest.mark.parametrize("piece_b", [1, 3, 7, 1000])
async def test_frames_in_pieces(end: tuple[End, socket.socket], piece_b: int) -> None:
    made, theirs = end
    said = frame((1, b"x" * 50)) + frame((2,), (3, None, 1.5)) + frame((4, "é"))
    for start in range(0, len(said), piece_b):
        theirs.send(said[start : start + piece_b])
        await asyncio.sleep(0)
    await made.until("heard", 4)
    assert made.heard == [(1, b"x" * 50), (2,), (3, None, 1.5), (4, "é")]


@pytest.mark.parametrize(
    "said",
    [
        struct.pack("<I", FRAME_B + 1),
        struct.pack("<I", 3) + b"\xff\xff\xff",
        struct.pack("<I", 4) + marshal.dumps([(1,)])[:4],
        struct.pack("<I", len(marshal.dumps(7))) + marshal.dumps(7),
        frame(5),
        frame(()),
    ],
)
async def test_what_is_no_frame_ends_it(end: tuple[End, socket.socket], said: bytes) -> None:
    made, theirs = end
    theirs.send(said)
    await made.until("lost", 1)
    assert made.heard == []
    assert not made.link.is_open


async def test_half_a_frame_at_the_end_is_nothing(end: tuple[End, socket.socket]) -> None:
    made, theirs = end
    theirs.send(frame((1,)) + frame((2, b"half"))[:-1])
    await made.until("heard", 1)
    theirs.close()
    await made.until("lost", 1)
    assert made.heard == [(1,)]


async def test_a_reader_that_stands_still_ends_it(
    end: tuple[End, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = end
    for _ in range(40):  # nobody reads the other end: the kernel takes some, the rest is ours
        made.link.send((1, b"x" * (1 << 20)))
        await asyncio.sleep(0)
        if made.lost:
            break
    assert made.lost == ["the other end does not read"]


async def test_silence_ends_it(end: tuple[End, socket.socket]) -> None:
    made, theirs = end
    theirs.send(frame((1,)))
    await made.until("heard", 1)
    made.link._heard_at -= link_module.SILENT_S  # as if nothing had come for so long
    await made.until("lost", 1)
    assert made.lost == ["the other end is silent"]


async def test_who_has_not_begun_to_speak_is_not_silent(end: tuple[End, socket.socket]) -> None:
    """Its process may be starting still."""
    made, _ = end
    made.link._heard_at -= 100 * link_module.SILENT_S
    await asyncio.sleep(2.5 * link_module.BEAT_S)
    assert made.lost == []


async def test_a_beat_is_enough_and_is_no_message(end: tuple[End, socket.socket]) -> None:
    made, theirs = end
    await asyncio.sleep(1.5 * link_module.BEAT_S)
    theirs.send(frame((link_module.BEAT,)))
    await asyncio.sleep(1.5 * link_module.BEAT_S)
    assert made.lost == made.heard == []
    assert messages(theirs.recv(1 << 16))[0] == (link_module.BEAT,)


async def test_a_handler_that_finds_nonsense_ends_it(end: tuple[End, socket.socket]) -> None:
    made, theirs = end

    def strict(message: Message) -> None:
        raise ValueError("job 1 is already open")

    made.link._heard = strict  # what a hub finds in a message that no worker of its version sends
    theirs.send(frame((1,)))
    await made.until("lost", 1)
    assert "already open" in made.lost[0]


async def test_after_close_nothing_is_heard(end: tuple[End, socket.socket]) -> None:
    made, theirs = end
    made.link.send((9,))
    made.link.close()
    await asyncio.sleep(0.01)
    assert messages(theirs.recv(1 << 16)) == [(9,)]
    assert made.lost == []
