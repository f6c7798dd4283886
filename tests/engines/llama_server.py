"""A real llama-server: the program built from source, or the same C++ server out of a wheel (`xllama_server.py`)."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.engines import cache
from tests.engines.process import EngineProcess, running

CONTEXT_TOKENS = 2048
SLOTS = 2
SLOT_POLL_S = 2.0
"""llama-server looks for clients that left only after a second without an answer to anybody, `/slots` included."""


@dataclass(frozen=True)
class Engine:
    """What `make engines` left in the cache."""

    server: tuple[str, ...]
    """The program, as the first words of a command."""
    model: Path

    @classmethod
    def of(cls, part: str) -> "Engine":
        """The one of a part: `llama-server` or `xllamacpp`."""
        there = cache.folder()
        wheel = (str(there / "xllamacpp/bin/python"), str(Path(__file__).with_name("xllama_server.py")))
        server = (str(there / "bin/llama-server"),) if part == "llama-server" else wheel
        return cls(server, there / "models/tiny.gguf")


class LlamaServer(EngineProcess):
    """One llama-server. Its cache is as exact as its weights, so that its words are those of other engines."""

    kind: ClassVar[str] = "llama_cpp"

    def __init__(self, engine: Engine, alias: str, *options: str) -> None:
        super().__init__(alias)
        self.alias = alias
        model = ["-m", str(engine.model), "--alias", alias, "-c", str(CONTEXT_TOKENS * SLOTS), "-np", str(SLOTS)]
        exact = ["-ctk", "f32", "-ctv", "f32", "-fa", "off"]
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        self._command = [*engine.server, *model, *exact, *where, "-t", "1", "--slots", *options]

    def command(self) -> Sequence[str]:
        return self._command

    def jobs(self) -> int:
        return sum(slot["is_processing"] for slot in self.slots())

    def slots(self) -> list[dict[str, Any]]:
        """The engine's own view of its slots."""
        slots: list[dict[str, Any]] = self.get_json("/slots")
        return slots

    def wait_until_idle(self, within_s: float) -> list[dict[str, Any]]:
        """The slots once none is at work; AssertionError after `within_s`. Asks no faster than the engine can bear."""
        deadline = time.monotonic() + within_s
        while True:
            time.sleep(SLOT_POLL_S)
            slots = self.slots()
            if not any(slot["is_processing"] for slot in slots):
                return slots
            assert time.monotonic() < deadline, f"still at work after {within_s} s: {slots}"


@contextmanager
def running_server(engine: Engine, alias: str, *options: str) -> Iterator[LlamaServer]:
    """A llama-server for the length of a block."""
    with running(LlamaServer(engine, alias, *options)) as server:
        yield server
