"""What is made for every request has a constructor that is compiled: those that `dataclass` and NamedTuple make are
left to the interpreter, and cost more than all that is done with the value."""

import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.support.live_proxy import Live, SimEngine, running

ROOMS = ("proxy.core.", "proxy.engines.", "proxy.live.", "proxy.model.", "proxy.obs.", "proxy.wire.")
TIMES = 20
KNOWN = {"Usage"}
"""Made once, and unpacked by those who count."""


async def made(live: Live, **body: Any) -> set[str]:
    """Classes of which one is made by a generated constructor for each of several requests."""
    found: Counter[str] = Counter()

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith("<") and frame.f_code.co_varnames:
            first = frame.f_locals.get(frame.f_code.co_varnames[0])
            kind = first if isinstance(first, type) else type(first)
            if kind.__module__.startswith(ROOMS):
                found[kind.__qualname__] += 1

    for _ in range(2):
        assert (await live.ask(body)).status == 200
    sys.setprofile(look)
    try:
        for _ in range(TIMES):
            await live.ask(body)
    finally:
        sys.setprofile(None)
    return {name for name, times in found.items() if times >= TIMES}


@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_that_every_request_makes_has_a_generated_constructor(tmp_path: Path, stream: bool) -> None:
    async with running(tmp_path, "", [SimEngine("alpha")]) as live:
        assert await made(live, stream=stream) == KNOWN
