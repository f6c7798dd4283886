"""What calls that hold several inputs cost on one backend: how many are out, what a call costs however little is in it,
the size that brings the most, and the largest that the engine takes.

Owns the numbers per kind of call. The best size is climbed to: as long as twice the inputs bring clearly more a second
calls get larger, since small ones side by side bring the same sooner (eight of eight texts beat any of thirty-two).
"""

from typing import Final

from proxy.core.learn.batch_caps import UNLIMITED, BatchCaps
from proxy.model.request import Job

IN_FLIGHT: Final = 4
"""Calls of one kind that an engine has at once before more are worth collecting: it reads the next one while it
computes, and several small ones never wait for one large."""
_MOST_KINDS: Final = 1024
"""Kinds of calls of one backend of which something is remembered; the oldest is forgotten first."""
_KEEP: Final = 0.95
"""Weight of what was known when one more call has ended."""
_KNOWN: Final = 8.0
"""Calls, as far as they still count, from which on their fixed cost is believed."""
_SPREAD: Final = 0.02
"""Variance of their sizes as a share of the mean's square without which nobody can tell it."""
_START: Final = 3
"""Calls are of at most 2 to the power of this at first."""
_STEPS: Final = 16
_SAMPLES: Final = 8
"""Calls of one size before it is compared with another."""
_BETTER: Final = 1.1
"""A larger size brings so much more, or it is not worth the longer wait."""
_AGAIN: Final = 256
"""After so many calls the next larger size is tried once more."""


def kind_of(job: Job) -> str:
    """Calls of which one tells what another will cost."""
    return f"{job.endpoint} {job.model}"


class CallKind:
    """Of one kind of call: endpoint and model."""

    __slots__ = ("_count", "_rates", "_since", "_size", "_square", "_step", "_took", "_tried", "_with", "out")

    def __init__(self) -> None:
        self.out = 0
        """Calls on their way."""
        self._count = self._size = self._square = self._took = self._with = 0.0
        """Fading sums: 1, inputs, their square, seconds, inputs times seconds."""
        self._step = _START
        self._rates: list[float] = [0.0] * _STEPS
        """Inputs a second and call in flight, by the power of two that they fit into."""
        self._tried: list[int] = [0] * _STEPS
        self._since = 0
        """Calls since the size was changed."""

    @property
    def size(self) -> int:
        """Inputs that one call should hold at most."""
        return int(1 << self._step)

    @property
    def seconds(self) -> float:
        """Mean of a call; 0: none has ended."""
        return self._took / self._count if self._count else 0.0

    def fixed_s(self) -> float | None:
        """Seconds of a call with next to nothing in it; None: not known, as long as all are of one size."""
        spread = self._count * self._square - self._size * self._size
        if self._count < _KNOWN or spread < _SPREAD * self._size * self._size:
            return None
        per_input = (self._count * self._with - self._size * self._took) / spread
        return min(self.seconds, max(0.0, (self._took - max(0.0, per_input) * self._size) / self._count))

    def learn(self, inputs: int, seconds: float) -> None:
        """A call was answered."""
        self._count = _KEEP * self._count + 1.0
        self._size = _KEEP * self._size + inputs
        self._square = _KEEP * self._square + inputs * inputs
        self._took = _KEEP * self._took + seconds
        self._with = _KEEP * self._with + inputs * seconds
        step = min(_STEPS - 1, (inputs - 1).bit_length())
        rate, tried = inputs / max(1e-6, seconds), min(_SAMPLES, self._tried[step])
        self._rates[step] += (rate - self._rates[step]) / (tried + 1)
        self._tried[step] += 1
        self._since += 1
        if step == self._step and self._tried[step] >= _SAMPLES:
            self._climb(step)

    def _climb(self, step: int) -> None:
        """Larger or smaller, by what was measured on both sides."""
        if self._tried[step - 1] >= _SAMPLES and self._rates[step] < _BETTER * self._rates[step - 1]:
            self._change(step - 1)
        elif step + 1 < _STEPS and (
            self._tried[step + 1] < _SAMPLES
            or self._rates[step + 1] >= _BETTER * self._rates[step]
            or self._since >= _AGAIN
        ):
            self._change(step + 1)

    def _change(self, step: int) -> None:
        if step > self._step:
            self._tried[step] = 0  # what was measured long ago is measured again
        self._step, self._since = step, 0


class Calls:
    """Of one backend."""

    __slots__ = ("_kinds", "caps")

    def __init__(self) -> None:
        self._kinds: dict[str, CallKind] = {}
        self.caps = BatchCaps()

    def of(self, kind: str) -> CallKind:
        """Made when it is asked for."""
        found = self._kinds.get(kind)
        if found is None:
            if len(self._kinds) >= _MOST_KINDS:
                self._forget_idle()
            found = self._kinds[kind] = CallKind()
        return found

    def most(self, kind: str) -> int:
        """Inputs that one call should hold at most."""
        cap, known = self.caps.of(kind), self._kinds.get(kind)
        size = 1 << _START if known is None else known.size
        return min(cap, size) if cap < UNLIMITED else size

    def _forget_idle(self) -> None:
        for kind, known in self._kinds.items():
            if not known.out:
                del self._kinds[kind]
                return
