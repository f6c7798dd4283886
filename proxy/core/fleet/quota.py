"""What a backend may be sent in a minute: by its operator's word, and by what a cloud says is left on its answers.

Of what is configured never more is sent in any 60 seconds, by a clock of either side: what was sent counts for a second
more, since requests are not equally long on their way. What a cloud says is true of the moment in which it took the
request that it answers; what was sent after that one is taken off. It counts until the time that it names itself.
Owns these two laws. Which requests wait meanwhile is not its business.
"""

from math import inf
from typing import Final

from proxy.model.commands import Remaining

_SLOTS: Final = 62
"""Seconds for which something counts, at least one less: a minute, and what ways differ by."""
_RESET_MAX_S: Final = 60.0
"""What a cloud says of its quota is believed for so long at most…"""
_RESET_S: Final = 1.0
"""…and for so long where it names no time."""
_WEIGHT: Final = 0.2
"""Of the newest request in what is usual."""
_NOTHING: Final = 1e-6
"""Tokens that are not told from none."""


class Spending:
    """What one attempt was counted as."""

    __slots__ = ("number", "prompt", "slot", "tokens", "tokens_before")

    def __init__(self, number: int, slot: int, prompt: float, tokens: float, tokens_before: float) -> None:
        self.number = number
        """Which request it was, from 1."""
        self.slot = slot
        self.prompt = prompt
        """Of its `tokens`."""
        self.tokens = tokens
        self.tokens_before = tokens_before
        """Tokens of all that were sent until then, its own included."""


class _Minute:
    """What was used of one limit, by seconds."""

    __slots__ = ("_slots", "_total", "limit", "slot")

    def __init__(self) -> None:
        self.limit: float = inf
        self.slot = 0
        """Second of the last look."""
        self._slots = [0.0] * _SLOTS
        self._total = 0.0

    def go_on(self, slot: int) -> None:
        """It is that second."""
        if slot <= self.slot:
            return
        for stale in range(self.slot + 1, min(slot, self.slot + _SLOTS) + 1):
            self._slots[stale % _SLOTS] = 0.0
        self._total = sum(self._slots)  # anew: a sum that is kept would drift
        self.slot = slot

    def add(self, amount: float, slot: int) -> None:
        """Used in that second, which may be gone; below 0: given back."""
        if slot > self.slot - _SLOTS:
            self._slots[slot % _SLOTS] += amount
            self._total += amount

    @property
    def left(self) -> float:
        """Below 0: more was used than had been expected."""
        return self.limit - self._total

    def frees_at(self, amount: float) -> float:
        """The second in which so much is there, by what is known now; `inf`: it is there, or never will be."""
        left = self.left
        if left >= amount - _NOTHING:
            return inf
        for slot in range(self.slot - _SLOTS + 1, self.slot + 1):
            left += self._slots[slot % _SLOTS]
            if left >= amount - _NOTHING:
                return float(slot + _SLOTS)
        return inf

    def changes_at(self) -> float:
        """The next second in which something of it comes back; `inf`: nothing was used, or there is no limit."""
        if self.limit < inf:
            for slot in range(self.slot - _SLOTS + 1, self.slot + 1):
                if self._slots[slot % _SLOTS] > 0.0:
                    return float(slot + _SLOTS)
        return inf


class _Told:
    """What a cloud said is left of one limit, and until when that counts. Then it is whole, but for what was sent since
    it said so; and a minute later, should nothing be heard, nobody knows."""

    __slots__ = ("_limit", "left", "until")

    def __init__(self) -> None:
        self._limit = inf
        self.left = inf
        self.until = inf

    def hear(self, left: float, since: float, reset_s: float | None, limit: float | None, now: float) -> None:
        """`since`: sent after the request whose answer it is."""
        self.left = left - since
        self._limit = inf if limit is None else limit
        self.until = now + min(_RESET_MAX_S, _RESET_S if reset_s is None else reset_s)

    def go_on(self, since: float, now: float) -> None:
        if now < self.until:
            return
        if self._limit < inf:
            self.left = self._limit - since
            self.until = now + _RESET_MAX_S
            self._limit = inf
        else:
            self.left = self.until = inf


class Quota:
    """Of one backend. What it knows is of the last time that it was told of the time."""

    __slots__ = (
        "_heard",
        "_heard_tokens",
        "_requests",
        "_sent",
        "_sent_tokens",
        "_tokens",
        "_told_requests",
        "_told_tokens",
        "_usual",
        "full_until",
        "is_full",
    )

    def __init__(self, requests: int | None, tokens: int | None, now: float) -> None:
        self._requests = _Minute()
        self._tokens = _Minute()
        self._told_requests = _Told()
        self._told_tokens = _Told()
        self._sent = 0
        self._sent_tokens = 0.0
        self._heard = 0
        """The newest request whose answer said what is left,"""
        self._heard_tokens = 0.0
        """and the tokens of all until then."""
        self._usual = 1.0
        """Tokens of a request."""
        self.is_full = False
        """No room for one more of the usual size."""
        self.full_until = now
        """When there will be."""
        self.configure(requests, tokens)
        self.advance(now)

    def configure(self, requests: int | None, tokens: int | None) -> None:
        """Other limits; what was used counts on."""
        self._requests.limit = inf if requests is None else float(requests)
        self._tokens.limit = inf if tokens is None else float(tokens)
        self._weigh()

    def fits(self, tokens: float) -> bool:
        """Whether one more request of so many tokens is within all limits. One that is larger than a whole minute's
        worth goes where nothing else was used."""
        return (
            self._requests.left >= 1.0
            and self._told_requests.left >= 1.0
            and self._tokens.left >= min(tokens, self._tokens.limit) - _NOTHING
            and self._told_tokens.left >= tokens
        )

    def spend(self, prompt: float, answer: float, now: float) -> Spending:
        """One more goes, of about so many tokens."""
        self.advance(now)
        tokens, slot = prompt + answer, self._requests.slot
        self._sent += 1
        self._sent_tokens += tokens
        self._usual = tokens if self._sent == 1 else self._usual + _WEIGHT * (tokens - self._usual)
        self._requests.add(1.0, slot)
        self._tokens.add(tokens, slot)
        self._told_requests.left -= 1.0
        self._told_tokens.left -= tokens
        self._weigh()
        return Spending(self._sent, slot, prompt, tokens, self._sent_tokens)

    def used(self, spending: Spending, tokens: float, now: float) -> None:
        """It is over and used so many tokens."""
        self.advance(now)
        self._tokens.add(tokens - spending.tokens, spending.slot)
        spending.tokens = tokens
        self._weigh()

    def unused(self, spending: Spending, now: float) -> None:
        """It was not received at all."""
        self._requests.add(-1.0, spending.slot)
        self.used(spending, 0.0, now)

    def hear(self, said: Remaining, spending: Spending | None, others: int, now: float) -> None:
        """An answer said what is left. `spending`: of its request; None: it was not counted, and so many `others` may
        have been sent since."""
        self.advance(now)
        number = self._heard if spending is None else spending.number
        if number < self._heard:
            return  # one that was sent later has been answered before
        if spending is not None:
            self._heard, self._heard_tokens = number, spending.tokens_before
            since, tokens_since = float(self._sent - number), self._sent_tokens - spending.tokens_before
        else:
            since, tokens_since = float(others), others * self._usual
        if said.requests is not None:
            self._told_requests.hear(said.requests, since, said.requests_reset_s, said.requests_limit, now)
        if said.tokens is not None:
            self._told_tokens.hear(said.tokens, tokens_since, said.tokens_reset_s, said.tokens_limit, now)
        self._weigh()

    def advance(self, now: float) -> None:
        """Time passed."""
        slot = int(now)
        self._requests.go_on(slot)
        self._tokens.go_on(slot)
        self._told_requests.go_on(float(self._sent - self._heard), now)
        self._told_tokens.go_on(self._sent_tokens - self._heard_tokens, now)
        self._weigh()

    def changes_at(self) -> float:
        """When to tell it of the time again; `inf`: nothing changes by itself."""
        return min(
            self._requests.changes_at(), self._tokens.changes_at(), self._told_requests.until, self._told_tokens.until
        )

    @property
    def is_used(self) -> bool:
        """Whether anything was ever sent, or heard."""
        return self._sent > 0 or self._told_requests.until < inf or self._told_tokens.until < inf

    @property
    def requests_left(self) -> float:
        """`inf`: no limit is known."""
        return min(self._requests.left, self._told_requests.left)

    @property
    def tokens_left(self) -> float:
        """`inf`: no limit is known."""
        return min(self._tokens.left, self._told_tokens.left)

    def _weigh(self) -> None:
        usual = min(self._usual, self._tokens.limit)
        self.is_full = not self.fits(usual)
        if self.is_full:
            until = [self._requests.frees_at(1.0), self._tokens.frees_at(usual)]
            until += [self._told_requests.until] if self._told_requests.left < 1.0 else []
            until += [self._told_tokens.until] if self._told_tokens.left < usual else []
            self.full_until = max([at for at in until if at < inf], default=0.0)
