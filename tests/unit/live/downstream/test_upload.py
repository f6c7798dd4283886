"""A body that is taken piece by piece: its sender waits while nobody takes it, and a cut one has no end."""

import asyncio

import pytest

from proxy.live.downstream.upload import HIGH_B, CutError, Upload


class Switch(asyncio.Transport):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.paused: list[bool] = []

    def pause_reading(self) -> None:
        self.paused.append(True)

    def resume_reading(self) -> None:
        self.paused.append(False)

    def is_closing(self) -> bool:
        return False


async def test_the_sender_waits_while_nobody_takes_what_is_there() -> None:
    upload, switch = Upload(-1), Switch()
    upload.comes_over(switch)
    for _ in range(3):
        upload.feed(b"x" * HIGH_B)
    assert switch.paused == [True]
    assert len(await upload.next(5)) == 3 * HIGH_B
    assert switch.paused == [True, False]
    upload.feed(b"y")
    upload.end()
    assert [await upload.next(5), await upload.next(5)] == [b"y", b""]
    assert upload.is_whole


async def test_what_comes_before_anybody_knows_over_what_is_held_back_too() -> None:
    upload, switch = Upload(-1), Switch()
    upload.feed(b"x" * (HIGH_B + 1))
    upload.comes_over(switch)
    assert switch.paused == [True]


async def test_a_cut_one_has_no_end_and_a_silent_one_is_given_up() -> None:
    upload = Upload(5)
    with pytest.raises(TimeoutError):
        await upload.next(0.01)
    waits = asyncio.ensure_future(upload.next(60))
    await asyncio.sleep(0)
    upload.cut()
    with pytest.raises(CutError):
        await waits


async def test_what_nobody_wants_is_thrown_away_and_flows() -> None:
    upload, switch = Upload(-1), Switch()
    upload.comes_over(switch)
    upload.feed(b"x" * (HIGH_B + 1))
    upload.drop()
    upload.feed(b"x" * (HIGH_B + 1))
    assert switch.paused == [True, False]
