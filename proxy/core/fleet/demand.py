"""What one job asks of the backends at one moment: tokens, the time that is left, and the margins it is judged by.

Owns how promises and a tenant's share become limits; nothing of it depends on which backend is looked at.
"""

from collections.abc import Sequence
from math import exp, inf, log
from typing import Final

from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.learn.sessions import Session
from proxy.model.commands import Reason
from proxy.model.request import Job

_HIGH_SIGMAS: Final = 1.2816
"""Standard deviations from the median to the .9 quantile."""
_MOST_SIGMA: Final = 1.0
_TILT: Final = 0.15
"""Margins grow by this for twice a share: room for a job or two is what those with less than theirs need, and more of
it stands empty while the one who wants it is refused."""
_LEFT_BY_LINES: Final = 1.07
"""Lines of batches leave so much of the pace that was promised to others: where bulk has all of it, the next of them
waits here until there is some again."""
_LAST_BLOCK: Final = 0.5
"""The part of a block at the end of a prompt, of which no hash tells."""


NOWHERE: frozenset[Backend] = frozenset()


class Demand:
    """One job at one moment, with everything that does not depend on the backend."""

    __slots__ = (
        "answer",
        "answer_high",
        "answer_mean",
        "becomes",
        "beside_price",
        "block_tokens",
        "bulk",
        "bulk_backlog",
        "chain",
        "depths",
        "duty_limit",
        "fitted",
        "held",
        "job",
        "kept",
        "kept_slack_s",
        "kv_share",
        "longest",
        "looked",
        "now",
        "over_share",
        "patience_s",
        "prompt",
        "reason",
        "rest_s",
        "session",
        "too_short",
        "tpot_limit",
        "tpot_margin",
        "ttft_left",
        "ttft_margin",
        "waited",
        "yields",
        "yields_share",
    )

    def __init__(self, job: Job, arrived: float, now: float) -> None:
        self.job = job
        self.now = now
        self.waited = now - arrived
        self.chain = job.prefix
        self.depths: dict[int, int] | None = None
        """Blocks of it that each backend holds; None: to be looked up."""
        self.bulk = job.bulk
        self.yields = job.yields_until is not None and now < job.yields_until
        """A line of a batch, which has time to go where nobody feels it…"""
        self.yields_share = 0.0
        """…that is, delays first tokens by no more than this share of theirs."""
        self.held = False
        """It waited for room, and goes when hardly any time is left for its first token."""
        self.prompt = 1.0
        """Tokens."""
        self.longest = 0.0
        """Those of the longest prompt of several; 0: it is the only one."""
        self.block_tokens = 1.0
        self.too_short = 0
        """Tokens of a context into which it is known not to fit."""
        self.answer = self.answer_high = 1.0
        """Tokens expected of the answer, and their .9 quantile."""
        self.answer_mean = 1.0
        """What the answer has on average, where it has to be whole in time."""
        self.over_share = 0.0
        """Of its tenant, as far as that keeps others waiting."""
        self.ttft_left = inf
        """Seconds left for the first token."""
        self.rest_s = inf if job.done_by is None else job.done_by - now
        """Seconds left for the whole answer."""
        self.tpot_limit: float | None = None
        self.ttft_margin = self.tpot_margin = self.duty_limit = self.kv_share = 1.0
        self.bulk_backlog = 0.0
        self.beside_price = 1.0
        """Pace that it takes from those who were promised one counts so many times."""
        self.session: Session | None = None
        """That it continues."""
        self.becomes = 0.0
        """Tokens of the session that it may be the first turn of."""
        self.patience_s = inf
        """Having waited so long, bulk takes any idle backend."""
        self.kept: frozenset[Backend] = NOWHERE
        """Backends that bulk leaves to those who wait for a first token…"""
        self.kept_slack_s = 0.0
        """…unless it keeps them waiting no longer than this."""
        self.looked: Sequence[Backend] = ()
        """The candidates of the last choice: their forecasts are of this job."""
        self.fitted = False
        """The candidates given to the policy break no limit."""
        self.reason: Reason | None = None
        """Why nobody fits, after a choice that found nobody."""

    def bind(self, dials: Dials) -> None:
        """Turn promises and the tenant's share into limits. Bulk promises nothing about time."""
        job, tilt = self.job, 1.0 + _TILT * self.over_share
        if not self.bulk and job.slo_ttft_s is not None:
            self.ttft_left = job.slo_ttft_s - self.waited
        self.tpot_limit = None if self.bulk else job.slo_tpot_s
        self.ttft_margin = dials.ttft_margin * tilt
        self.tpot_margin = dials.tpot_margin * tilt
        duty = dials.duty_bulk if self.bulk else dials.duty_interactive if self.promised else dials.duty
        self.duty_limit = duty / tilt
        self.kv_share = dials.kv
        if self.rest_s < inf:
            self.answer_mean = mean_length(self.answer, self.answer_high)
        self.bulk_backlog = dials.bulk_backlog_s
        if self.bulk:
            self.beside_price = dials.chat_price
            self.yields_share = dials.lines_delay
            if self.yields:
                self.tpot_margin *= _LEFT_BY_LINES

    def goes_on(self, session: Session) -> None:
        """The engine has counted what this prompt begins with: only what is new is estimated."""
        if session.prompt and session.blocks:
            self.block_tokens = session.prompt / (session.blocks + _LAST_BLOCK)
            self.prompt = session.prompt + self.block_tokens * max(0, len(self.chain) - session.blocks)

    def merges(self, other: "Demand") -> None:
        """That of one more job, which goes in the same call."""
        self.longest = max(self.longest or self.prompt, other.prompt)
        self.prompt += other.prompt
        self.answer += other.answer
        self.answer_high += other.answer_high
        self.answer_mean += other.answer_mean
        self.ttft_left = min(self.ttft_left, other.ttft_left)
        self.rest_s = min(self.rest_s, other.rest_s)
        self.too_short = max(self.too_short, other.too_short)
        if other.tpot_limit is not None:
            self.tpot_limit = min(self.tpot_limit or inf, other.tpot_limit)
        self.chain, self.session, self.becomes = (), None, 0.0

    def has_room(self, backend: Backend) -> bool:
        """Whether one more is within its permits, what it is seen to take, and its quota."""
        return backend.has_room(self.job, bulk=self.bulk) and (
            backend.quota is None or backend.quota.fits(self.prompt + self.answer_high)
        )

    @property
    def promised(self) -> bool:
        """Whether it was given a time."""
        return not self.bulk and (self.job.slo_ttft_s is not None or self.job.slo_tpot_s is not None)

    @property
    def promises(self) -> bool:
        """Whether it could be refused for time."""
        return self.ttft_left < inf or self.tpot_limit is not None


def mean_length(median: float, high: float) -> float:
    """Of lengths whose logarithm is normal, by their median and their .9 quantile."""
    sigma = min(_MOST_SIGMA, log(max(1.0, high / median)) / _HIGH_SIGMAS)
    return median * exp(0.5 * sigma * sigma)
