"""Whether the answers of a backend flow as fast as predicted, told while they flow.

Owns the ratio of tokens predicted to tokens seen over the last few seconds, which catches what is grossly slow. The
cost model learns from answers that have ended: one that became five times longer tells of it five times later, and an
onset of long ones is over when the first of them ends. So it learns from what flows as long as few have ended, in
seconds that were hardly spent on prompts, since an engine may then decode nothing. The same seconds tell at once when
predictions stay behind for what no answer that ended has shown yet: memory that answers take which outlast all others.
"""

from typing import Final

from proxy.core.learn.cost_model import FULL_TRUST, CostModel, decode_features
from proxy.core.learn.ledger import Ledger

_KEEP: Final = 0.6
"""Of what was known, at every report: at one a second a memory of two to three seconds."""
_FLOOR: Final = 20.0
"""Tokens that went as predicted, always."""
_GROSS: Final = 2.0
"""A smaller ratio of predicted to seen is left to the cost model."""
_MOST: Final = 50.0
_MIN_S: Final = 0.2
_MAX_S: Final = 5.0
"""Reports further apart tell nothing: the books in between may have changed too much."""
_LEARNT: Final = 30
"""Samples the pool must have: before, only the prediction would be judged."""
_CALM: Final = 0.2
"""Share of the time up to which a prompt may have been there in a second that teaches how fast answers flow."""
_RECENT: Final = 0.8
"""Of what calm seconds told, at every report…"""
_COVERED: Final = 1.05
"""…and up to this the margin of admission covers what they tell…"""
_MOST_BEHIND: Final = 1.25
"""…beyond this the cost model tells."""
_LEAST_TOKENS: Final = 1.0
"""Tokens of each stream below which a report tells nothing of its pace."""


class DecodeRate:
    """One per backend. `slow` is the factor on its predicted seconds per token: 1 unless grossly slow; `behind` the one
    on a decode step by what calm seconds tell: 1 unless that is more than the margin of admission covers."""

    __slots__ = (
        "_at",
        "_busy_s",
        "_calm_expected",
        "_calm_seen",
        "_decoding_s",
        "_expected",
        "_kv_s",
        "_seen",
        "_work_s",
        "behind",
        "slow",
    )

    def __init__(self) -> None:
        self.slow = self.behind = 1.0
        self._at: float | None = None
        self._busy_s = self._decoding_s = self._kv_s = self._work_s = 0.0
        self._expected = self._seen = 0.0
        self._calm_expected = self._calm_seen = 0.0

    def learn(self, ledger: Ledger, model: CostModel, stream_s: float, tokens: float, now: float) -> None:
        """Streams that flowed since the last report, `stream_s` seconds of them together, brought so many tokens."""
        at, busy_s, decoding_s, kv_s, work_s = self._at, self._busy_s, self._decoding_s, self._kv_s, self._work_s
        self._at = now
        self._decoding_s, self._kv_s, self._busy_s, self._work_s = ledger.integrals(now)
        if at is None or not _MIN_S <= now - at <= _MAX_S:
            return
        elapsed = now - at
        decoding, kv = (self._decoding_s - decoding_s) / elapsed, (self._kv_s - kv_s) / elapsed
        busy_s, work_s = self._busy_s - busy_s, self._work_s - work_s
        calm = busy_s <= _CALM * elapsed and not ledger.has_foreign
        if model.pool.decode.samples >= _LEARNT:
            step = model.step_s(decoding, kv)
            free = max(0.0, 1.0 - busy_s / elapsed)
            self._expected = _KEEP * self._expected + free * stream_s / step
            self._seen = _KEEP * self._seen + tokens
            ratio = (self._expected + _FLOOR) / (self._seen + _FLOOR)
            self.slow = min(_MOST, ratio) if ratio > _GROSS else 1.0
            if calm:
                spent_s = model.stretch() * min(work_s, busy_s)
                self._learn_behind(max(0.0, 1.0 - spent_s / elapsed) * stream_s / step, tokens)
            else:
                self._learn_behind(0.0, 0.0)
            if tokens * _GROSS < free * stream_s / step:  # ill, or a pause: not what it costs
                return
        if model.decode_samples >= FULL_TRUST or stream_s <= 0.0 or not calm:
            return
        each = tokens * elapsed / stream_s
        if each >= _LEAST_TOKENS:
            model.learn_flow(decode_features(decoding, kv, min(work_s, busy_s) / each), elapsed / each)

    def _learn_behind(self, expected: float, seen: float) -> None:
        """Tokens of a calm second; of any other none, so that what those told is forgotten."""
        self._calm_expected = _RECENT * self._calm_expected + expected
        self._calm_seen = _RECENT * self._calm_seen + seen
        ratio = (self._calm_expected + _FLOOR) / (self._calm_seen + _FLOOR)
        self.behind = min(_MOST_BEHIND, max(1.0, ratio / _COVERED))
