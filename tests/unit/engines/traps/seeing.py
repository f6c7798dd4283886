"""An engine as it shows itself, and which traps are seen of it."""

from proxy.engines.base import Dialect
from proxy.engines.trap import Sight


def seen(dialect: Dialect, sight: Sight) -> dict[str, str]:
    """Trap → what is seen."""
    return {trap.name: text for trap in dialect.traps if (text := trap.look(sight))}


def showing(bodies: dict[str, bytes], *lacking: str, models: object = None, version: str = "") -> Sight:
    """200 with these bodies, 404 at the paths it lacks."""
    statuses = dict.fromkeys(bodies, 200) | dict.fromkeys(lacking, 404)
    return Sight(statuses, bodies, models, version, 1_800_000_000.0)
