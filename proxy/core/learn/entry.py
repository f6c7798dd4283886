"""One attempt in the ledger of its backend: what was forecast of it, and what is known by now.

Owns nothing but the record.
"""

from proxy.core.learn.sessions import Session
from proxy.model.request import Job


class Entry:
    """One attempt in the ledger."""

    __slots__ = (
        "ahead",
        "answer",
        "arrived",
        "before",
        "began",
        "began_load",
        "beside",
        "bulk",
        "cost",
        "dispatched",
        "ends",
        "evicted",
        "first_at",
        "fresh",
        "held",
        "hit",
        "inside",
        "job",
        "kv",
        "leads",
        "led_from",
        "loading",
        "mark_busy",
        "mark_decoding",
        "mark_kv",
        "mark_work",
        "place",
        "probe",
        "prompt",
        "seated",
        "seconds",
        "session",
        "shared",
        "streams",
        "took",
        "tpot",
        "tpot_limit",
        "ttft",
        "work",
        "yields",
    )

    def __init__(self, job: Job, arrived: float, dispatched: float) -> None:
        self.job = job
        """As it is served."""
        self.arrived = arrived
        """Its promises count from here, seconds."""
        self.dispatched = dispatched
        self.began = False
        """Its first byte came."""
        self.prompt = 0.0
        """Tokens."""
        self.hit = 0.0
        """Tokens predicted to be in the prefix cache."""
        self.before: tuple[float, float] | None = None
        """Tokens of the prompt and of the answer that it continues, where these were the backend's…"""
        self.evicted = False
        """…which is believed not to hold all of them any more."""
        self.fresh = 0.0
        """Tokens predicted to be computed."""
        self.answer = 0.0
        """Tokens expected of the answer."""
        self.cost = 0.0
        """Predicted prefill seconds."""
        self.ahead = 0.0
        """The same of what was to be computed before it."""
        self.work = 0.0
        """Those of them that count as duty."""
        self.seconds = 0.0
        """Predicted backend seconds, prefill and share of the decoding steps."""
        self.kv = 0.0
        """Prompt and expected answer, tokens."""
        self.loading = 0.0
        """Predicted seconds until its model is in memory."""
        self.began_load = False
        """The engine began to load the model for it."""
        self.ttft = 0.0
        """Predicted, from dispatch."""
        self.tpot = 0.0
        """Predicted."""
        self.tpot_limit: float | None = None
        self.beside = 0.0
        """Requests that decoded when it was sent."""
        self.took: float | None = None
        """Seconds of its prefill, once known."""
        self.bulk = False
        self.yields = False
        """A line of a batch, which must not be felt."""
        self.held = False
        """It waited for room while its promise ran out."""
        self.seated = True
        """A seat of the engine was free for it when it was sent."""
        self.streams = False
        """Tells of its first token."""
        self.leads: tuple[int, ...] = ()
        """Blocks of its prompt that are not computed yet and that others may have, too…"""
        self.led_from = 0
        """…which come after so many that are there."""
        self.shared = False
        """Several jobs wait for it: it is not sent back for another one."""
        self.session: Session | None = None
        """It is a turn of it."""
        self.probe = False
        """Would have been refused, and is sent to see whether that would have been right."""
        self.place = self.inside = self.ends = 0
        """Of an answer in one piece: which it is of all of its backend's, those inside with it, and ends before it."""
        self.first_at: float | None = None
        self.mark_busy = self.mark_decoding = self.mark_kv = self.mark_work = 0.0

    @property
    def begins(self) -> bool:
        """The engine could begin with its prefill when it was sent: until its first token, that is what takes time."""
        return self.seated and not self.loading

    @property
    def first_byte_s(self) -> float:
        """Predicted seconds from dispatch to the first byte: that of an answer in one piece is its last token's."""
        return self.ttft if self.streams else self.ttft + self.answer * self.tpot
