"""What is known of who has what engines keep: responses and conversations."""

from typing import NamedTuple


class OwnersView(NamedTuple):
    """At one moment."""

    known: int
    """Ids."""
    lookups: dict[str, int]
    """By where they were found: memory, second_level, nowhere; unanswered: the second level said nothing in time."""
    told: int
    """To the second level."""
    dropped: int
    """Never told there, since nobody answered for too long."""
