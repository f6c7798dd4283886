"""Sessions: requests that continue one another, where the last one was computed, and what it holds there meanwhile.

    turn 1 ──> backend a ──> answer … the client's tool runs … turn 2 ──> a has its prefix, if nobody took the memory
               in the ledger          away: known here, so that newcomers do not take it

Owns who continues whom: the blocks of a prompt say it (one begins with all of another), and a key of the client's says
that there will be more. Bounded by count and time. A session that was never continued and has no key holds nothing for
anybody: of most requests no second one comes. What is held matters where computing it anew would be late.
"""

from collections import OrderedDict
from collections.abc import Hashable
from math import exp
from typing import Final

from proxy.model.request import Job

MAX_SESSIONS: Final = 16_384
"""Of all backends; the one that was silent for the longest time is forgotten."""
MAX_AWAY_S: Final = 120.0
"""Nobody is expected to go on after so long."""
_MIN_AWAY_S: Final = 5.0
_AWAY: Final = 1.5
"""A session is over when it was away for so many times as long as 98 of 100 are."""
_LONG_AWAY: Final = 0.98
_RATE: Final = 0.3
_LASTING: Final = 5
"""Turns after which a session keeps newcomers out: whoever has come so far has as far to go. A chat of a few turns has
less to lose than each of those who would be kept waiting for it, and loses it rarely."""
_GROWN: Final = 0.7
"""Mean size of a session over its life, as a share of its last one."""
_DOUBLE: Final = 2.0
"""Before any was seen to end: whoever has come so far has as far to go."""
_LOOK_BACK: Final = 512
"""Blocks that a turn may add to be known as one."""
_LEARN: Final = 0.1
"""Weight of the newest session in what one grows to."""

_Key = tuple[str, str, str]


class Kept:
    """KV tokens that one backend is expected to hold for sessions that are away."""

    __slots__ = ("fragile",)

    def __init__(self) -> None:
        self.fragile = 0.0
        """For those with many turns whose next one is late if all of it has to be computed anew."""


class Session:
    """One conversation. Compared by identity."""

    __slots__ = (
        "answer",
        "blocks",
        "fragile",
        "held",
        "key",
        "last",
        "open",
        "place",
        "prompt",
        "tail",
        "tokens",
        "turns",
    )

    def __init__(self, key: _Key | None, now: float) -> None:
        self.key = key
        """Tenant, model and the client's own name for it; None: it has none."""
        self.tail: Hashable = None
        """Last whole block of its last prompt."""
        self.place: Kept | None = None
        """Of the backend where its last turn went."""
        self.tokens = 0.0
        """Prompt and answer of its last turn."""
        self.blocks = 0
        """Of its last prompt…"""
        self.prompt = 0.0
        """…and the tokens of it, as the engine counted them; 0 while it has not."""
        self.answer = 0.0
        """Tokens of its last answer, as the engine counted them."""
        self.turns = 0
        self.open = 0
        """Turns under way."""
        self.last = now
        """Seconds at which something happened to it."""
        self.fragile = False
        """It has many turns, and the next one is late if all of it has to be computed anew."""
        self.held = 0.0
        """Tokens that are kept for it there while it is away."""

    def counted(self, prompt: int, answer: int) -> None:
        """The engine told the tokens of its last turn."""
        self.prompt, self.answer = float(prompt), float(answer)

    @property
    def continues(self) -> bool:
        """Whether another turn is to be expected."""
        return self.turns > 1 or self.key is not None


class Sessions:
    """All of them. `now` never goes back."""

    def __init__(self) -> None:
        self._known: OrderedDict[Session, None] = OrderedDict()
        """The one that was silent for the longest time first."""
        self._tails: dict[Hashable, Session] = {}
        self._keys: dict[_Key, Session] = {}
        self._last_tokens = 0.0
        """Tokens that a session had when it ended, smoothed; 0 before any did."""
        self._long_away_s = MAX_AWAY_S / 2
        """Quantile `_LONG_AWAY` of the seconds between an answer and the next turn."""
        self._growing = 0
        self._growing_tokens = 0.0
        """Sessions that have gone on, and the tokens of their last turns."""

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, session: Session) -> bool:
        """Whether it is not over yet."""
        return session in self._known

    @property
    def usual_tokens(self) -> float:
        """Mean tokens of a session over its life; 0 while nothing is known."""
        if self._last_tokens:
            return _GROWN * self._last_tokens
        return _GROWN * _DOUBLE * self._growing_tokens / self._growing if self._growing else 0.0

    @property
    def keep_s(self) -> float:
        """A session that was away for so long is over."""
        return min(MAX_AWAY_S, max(_MIN_AWAY_S, _AWAY * self._long_away_s))

    def find(self, job: Job) -> Session | None:
        """The session that this request continues: its prompt begins with all of the last one's."""
        tails = self._tails
        if not tails:
            return None
        chain = job.prefix
        for i in range(len(chain) - 1, max(-1, len(chain) - 1 - _LOOK_BACK), -1):
            found = tails.get(chain[i])
            if found is not None:
                return None if job.session and found.key and found.key[2] != job.session else found
        return None

    def sent(self, found: Session | None, job: Job, place: Kept, now: float) -> Session | None:
        """A turn goes to the backend of `place`: of the session that it continues (`find`), of that of its key, or of a
        new one; None for a request that tells nothing."""
        chain = job.prefix
        if not chain and not job.session:
            return None
        session = found or self._of_key(job, now)
        self._leave(session)
        if not chain or chain[-1] != session.tail:  # else it is the same again, and no other turn
            self._went_on(session, now)
        session.place = place
        session.open += 1
        session.last = now
        self._known[session] = None
        self._known.move_to_end(session)
        if chain:
            self._tails.pop(session.tail, None)
            session.tail = chain[-1]
            session.blocks, session.prompt, session.answer = len(chain), 0.0, 0.0
            self._tails[session.tail] = session
        while len(self._known) > MAX_SESSIONS:
            self._forget(next(iter(self._known)))
        return session

    def ended(self, session: Session, tokens: float, fragile: bool, now: float) -> None:
        """A turn is over, after which it has so many tokens: from now on it is away. `fragile`: its next turn is late
        if all of it has to be computed anew."""
        session.open -= 1
        session.last = now
        if session.open or session not in self._known:
            return
        self._known.move_to_end(session)
        if session.turns > 1:
            self._growing_tokens += tokens - session.tokens
        session.tokens = tokens
        session.fragile = fragile and session.turns >= _LASTING
        place = session.place
        if place is not None and session.continues:
            session.held = max(tokens, self.usual_tokens)
            if session.fragile:
                place.fragile += session.held

    def _went_on(self, session: Session, now: float) -> None:
        session.turns += 1
        if session.turns < 2:
            return
        if session.turns == 2:
            self._growing += 1
            self._growing_tokens += session.tokens
        if not session.open:
            longer = now - session.last > self._long_away_s
            self._long_away_s *= exp(_RATE * (_LONG_AWAY if longer else _LONG_AWAY - 1.0))

    def expire(self, now: float) -> None:
        """Those that do not go on are over."""
        keep_s = self.keep_s
        while self._known:
            session = next(iter(self._known))
            if now - session.last <= keep_s:
                return
            if session.open:
                session.last = now
                self._known.move_to_end(session)
                continue
            if session.turns > 1:
                weight = _LEARN if self._last_tokens else 1.0
                self._last_tokens += weight * (session.tokens - self._last_tokens)
            self._forget(session)

    def wiped(self, place: Kept) -> None:
        """Its engine forgot everything."""
        for session in self._known:
            if session.place is place:
                self._leave(session)

    def _of_key(self, job: Job, now: float) -> Session:
        """A new session, or the one of its key where that has nothing under way: what it was before is over then."""
        if not job.session:
            return Session(None, now)
        key = (job.tenant, job.model, job.session)
        known = self._keys.get(key)
        if known is None or known.open:
            known = Session(key, now)
            self._keys[key] = known
        return known

    @staticmethod
    def _leave(session: Session) -> None:
        """Nothing is held for it any more."""
        place = session.place
        if session.held and session.fragile and place is not None:
            place.fragile = max(0.0, place.fragile - session.held)
        session.held = 0.0

    def _forget(self, session: Session) -> None:
        if session.turns > 1:
            self._growing -= 1
            self._growing_tokens = self._growing_tokens - session.tokens if self._growing else 0.0
        self._leave(session)
        del self._known[session]
        if self._tails.get(session.tail) is session:
            del self._tails[session.tail]
        if session.key is not None and self._keys.get(session.key) is session:
            del self._keys[session.key]
