"""An engine's list of its models in its own words, read for its clients: at once where other models are there, else now
and then, since sizes and digests change with their weights.
"""

from typing import Final

from proxy.engines import listing
from proxy.live.background.questions import Questions
from proxy.live.upstream.backends import Upstream
from proxy.model.faults import FaultError

_EVERY_S: Final = 60.0


class OwnList:
    """Of one backend, which keeps what was read."""

    def __init__(self, backend: Upstream, questions: Questions) -> None:
        self._backend = backend
        self._questions = questions
        self._names: frozenset[str] | None = None
        self._again_at = 0.0
        """Its models when it was asked, and when it may be asked again."""

    async def look(self, names: frozenset[str], within_s: float) -> None:
        """It lists these models now. Where it does not answer within so many seconds, it may next time."""
        backend, path = self._backend, self._backend.dialect.lists_at
        now = backend.clock()
        if not path or (names == self._names and now < self._again_at):
            return
        try:
            relay = await self._questions.get(path, listing.MAX_B, within_s)
        except (TimeoutError, FaultError):
            return
        if relay.complete and relay.status == 200:
            backend.listed, self._names, self._again_at = relay.body, names, now + _EVERY_S

    def forget(self) -> None:
        """Another engine stands there."""
        self._backend.listed = self._backend.in_memory = b""
        self._names = None
