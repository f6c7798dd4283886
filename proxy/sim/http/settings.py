"""What one simulated backend is set up as."""

from dataclasses import dataclass

from proxy.sim.engine.arrays import ArrayCost
from proxy.sim.engine.spec import FAST, EngineSpec


@dataclass(frozen=True, slots=True)
class SimSettings:
    """`tidegate sim` fills this from its options; tests and the demo write it."""

    name: str = "sim"
    """Part of every id this backend makes, so that two backends never answer with the same one."""
    models: tuple[str, ...] = ("sim",)
    """Names served; the first is used where a request names none, as vLLM does."""
    spec: EngineSpec = FAST
    seed: int = 0
    """Same seed, same prompt, temperature 0: same text, on whatever backend."""
    speed: float = 1.0
    """The engine's clock runs so many times faster than ours."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: a free one."""
    api_key: str | None = None
    """Asked for under `/v1`, as vLLM's `--api-key`."""
    keepalive_s: float = 5.0
    """Idle connections are closed after so long: vLLM's (uvicorn's) default."""
    arrays: ArrayCost | None = None
    """What calls for vectors cost; None: what their tokens cost `spec`."""
    body_max_bytes: int = 64 << 20
    """Largest request body, bytes."""
