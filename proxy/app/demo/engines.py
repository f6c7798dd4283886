"""The engines of the demo: two for chats, two for bulk, simulated, each on a socket of its own.

Owns their sizes and what a scene does to one of them. Small, so that a laptop's one core overloads them.
"""

from dataclasses import replace
from typing import Any, Final

from proxy.sim.engine.spec import HIGH_THROUGHPUT, LOW_LATENCY, EngineSpec
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings

MODEL: Final = "demo"
CHATS: Final = "low-latency"
BULK: Final = "high-throughput"
VICTIM: Final = "chat-2"
"""What happens to an engine happens to this one."""

_FOR_CHATS: Final = replace(LOW_LATENCY, max_num_seqs=6, step_s=0.018, step_s_per_sequence=0.001)
"""Four to six streams at 22 to 24 ms per token."""
_FOR_BULK: Final = replace(
    HIGH_THROUGHPUT, max_num_seqs=24, step_s=0.036, step_s_per_sequence=0.001, prefill_s_per_token=0.1e-3
)
"""Many streams at 40 to 60 ms per token, and prompts of thousands of tokens in one step: what a chat notices."""
_ENGINES: Final[tuple[tuple[str, str, EngineSpec], ...]] = (
    ("chat-1", CHATS, _FOR_CHATS),
    ("chat-2", CHATS, _FOR_CHATS),
    ("bulk-1", BULK, _FOR_BULK),
    ("bulk-2", BULK, _FOR_BULK),
)


def engine_specs() -> tuple[tuple[str, str, EngineSpec], ...]:
    """Name, pool and constants of each."""
    return _ENGINES


class Engines:
    """Four of them. `start`, then `backends` for a configuration; `stop` ends them, answers in progress included."""

    def __init__(self) -> None:
        self._servers = {
            name: SimServer(SimSettings(name=name, models=(MODEL,), spec=spec)) for name, _, spec in _ENGINES
        }

    async def start(self) -> None:
        """Listen, on free ports."""
        for server in self._servers.values():
            await server.start()

    async def stop(self) -> None:
        """End everything now."""
        for server in self._servers.values():
            await server.stop()

    def backends(self) -> list[dict[str, Any]]:
        """As a configuration lists them."""
        return [
            {"url": self._servers[name].url, "name": name, "pool": pool, "kind": "vllm"} for name, pool, _ in _ENGINES
        ]

    async def slow(self, factor: float) -> None:
        """One engine takes `factor` times as long for everything, without a word; 1: as before."""
        await self._servers[VICTIM].set_faults({"slower": factor})

    async def kill(self) -> None:
        """One engine ends, with all it is at."""
        await self._servers[VICTIM].stop()

    async def revive(self) -> None:
        """It is there again, at the same address."""
        await self._servers[VICTIM].start()
