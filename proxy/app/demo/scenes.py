"""What the demo shows, scene by scene. Plain values; nothing happens here."""

from dataclasses import dataclass
from typing import Final, Literal

Mishap = Literal["none", "slow", "killed"]


@dataclass(frozen=True, slots=True)
class Scene:
    """Some time under one load, with one thing gone wrong."""

    name: str
    says: str
    """What to look at, one sentence."""
    load: float = 1.0
    """Times the normal traffic."""
    mishap: Mishap = "none"
    compared: bool = False
    """Whether the same traffic goes through a proxy that takes turns, before engines of its own."""


STORY: Final = (
    Scene("normal", "Chats on the engines made for them, bulk on the others: nobody waits for anybody."),
    Scene(
        "twice", "Twice the load: what can keep its promise is served, bulk gives way, the rest is told at once.", 2.0
    ),
    Scene(
        "slow", "One of the two chat engines is five times slower, and says nothing: it is found out.", mishap="slow"
    ),
    Scene("killed", "That engine is killed: who waits for a first token there is asked elsewhere.", mishap="killed"),
    Scene(
        "round_robin",
        "Twice the load and the slow engine, here and, side by side, before a proxy that takes turns.",
        2.0,
        "slow",
        compared=True,
    ),
)
SCENES: Final = {scene.name: scene for scene in STORY}
SLOWER: Final = 5.0
"""By how much the slow engine is slower."""
