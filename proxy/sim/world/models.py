"""Which models the traffic asks for, where it does not say so itself.

Owns the choice: in the given proportion, and the same for all requests of a tenant that begin alike (for a recorded
trace or a chat: with the same system prompt), so that a conversation keeps its model. Where neither tenants nor
prefixes are known, each request by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from math import inf, isfinite
from zlib import crc32

from proxy.sim.world.cluster import SimBackend
from proxy.workload.arrival import Arrival

UNNAMED = ("", "sim")
"""What stands for a model that nobody named."""
MAX_MODELS = 64


def parse_models(text: str) -> dict[str, float]:
    """`a=3,b=1`, or `a,b` for equal parts. Raises ValueError."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = (piece.strip() for piece in part.partition("="))
        if not name or name in shares:
            raise ValueError(f"{part!r} names no model, or one that was named before")
        try:
            shares[name] = float(share) if equals else 1.0
        except ValueError:
            raise ValueError(f"{part!r}: {share!r} is not a number") from None
        if not (isfinite(shares[name]) and shares[name] > 0):
            raise ValueError(f"{part!r}: a share is above 0")
    if len(shares) > MAX_MODELS:
        raise ValueError(f"{len(shares)} models; at most {MAX_MODELS}")
    return shares


def listed(backends: Iterable[SimBackend]) -> dict[str, float]:
    """What these backends list, in equal parts; nothing where one of them takes any model."""
    specs = [backend.spec for backend in backends]
    if any(spec.any_model or spec.models is None for spec in specs):
        return {}
    names = {name for spec in specs for name in spec.models or () if name not in dict(spec.aliases)}
    return dict.fromkeys(sorted(names), 1.0)


def named(arrivals: Sequence[Arrival], shares: Mapping[str, float]) -> list[Arrival]:
    """The arrivals, each with a model."""
    names, total = list(shares) or ["sim"], sum(shares.values()) or 1.0
    bounds = [*(bound / total for bound in accumulate(shares.values())), inf]
    return [
        one if one.model not in UNNAMED else replace(one, model=_at(names, bounds, _point(one, number)))
        for number, one in enumerate(arrivals)
    ]


def servable(model: str, backends: Iterable[SimBackend]) -> bool:
    """Whether one of these takes it."""
    return any(b.spec.any_model or b.spec.models is None or model in b.spec.models for b in backends)


def _at(names: Sequence[str], bounds: Sequence[float], point: float) -> str:
    return next((name for name, bound in zip(names, bounds, strict=False) if point < bound), names[-1])


def _point(arrival: Arrival, number: int) -> float:
    """From 0 to 1, the same for what belongs together."""
    alike = (arrival.tenant, arrival.prefix_hashes[:1]) if arrival.tenant or arrival.prefix_hashes else number
    return crc32(repr(alike).encode()) / (1 << 32)
