"""Who takes a new configuration, and how.

    register    a part says once how it takes one
    prepare     each builds what it needs; whatever fails here, nothing has changed
    the commit  each puts in place what it has built; all of them in one step of the loop, in the order of registration

Owns that order. What is read per request needs no registration: it belongs into `live.serving.Serving`, which is one of
the parts. A part of its own is what lasts: connections, tasks, counts, what was learned.
"""

from collections.abc import Callable
from typing import TypeAlias

from proxy.app.candidate import Candidate

Commit: TypeAlias = Callable[[], None]
"""Puts in place what was prepared. It does not wait, and cannot fail."""
Part: TypeAlias = Callable[[Candidate], Commit]
"""Prepares. StartError when it cannot be done."""


class Configured:
    """All parts of one proxy."""

    def __init__(self) -> None:
        self._parts: list[Part] = []

    def register(self, *parts: Part) -> None:
        """They hear of every configuration after the first, behind those that are here."""
        self._parts += parts

    def prepare(self, candidate: Candidate) -> Commit:
        """Everybody's commits as one. StartError where a part cannot take it."""
        commits = [part(candidate) for part in self._parts]

        def commit() -> None:
            for one in commits:
                one()

        return commit
