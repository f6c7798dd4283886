"""What one tenant has used of one set of limits, what a job is short of there, and what it holds while it is open.

Owns taking and settling: expected tokens when a job comes, the true ones when it ends, nothing for what was refused.
"""

from math import ceil
from typing import Final, NamedTuple

from proxy.core.tenancy.buckets import Bucket, DayBudget, Days
from proxy.model.tenants import Ceilings, QuotaView

_BUSY_S: Final = 1.0
"""When to come back after too many at once: nobody knows which of them ends first."""


class Ask(NamedTuple):
    """What a job wants: tokens are expected ones."""

    prompt: float
    answer: float
    stream: bool = False


class Shortage(NamedTuple):
    """What a job does not get."""

    what: str
    """`requests`, `tokens`, `input tokens`, `output tokens`, `concurrent requests` or `concurrent streams`."""
    limit: int
    used: int
    wanted: int
    wait_s: float | None
    """Until there is enough; None: there never will be."""
    per: str = "minute"
    """`minute` or `day`; empty: at once."""
    scope: str = ""
    """Of which requests, such as `model qwen3-*`; empty: of all."""


class Account:
    """One set of limits of one tenant."""

    __slots__ = (
        "_days",
        "answers",
        "concurrent",
        "day",
        "most",
        "most_streams",
        "prompts",
        "requests",
        "streams",
        "tokens",
    )

    def __init__(self, settings: Ceilings, days: Days, now: float) -> None:
        self._days = days
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        self.prompts: Bucket | None = None
        self.answers: Bucket | None = None
        self.day: DayBudget | None = None
        self.most = settings.max_concurrent
        self.most_streams = settings.max_streams
        self.concurrent = self.streams = 0
        self.configure(settings, now)

    def configure(self, settings: Ceilings, now: float) -> None:
        """Other limits; what was used counts on."""
        self.requests = _bucket(self.requests, settings.requests_per_minute, now)
        self.tokens = _bucket(self.tokens, settings.tokens_per_minute, now)
        self.prompts = _bucket(self.prompts, settings.input_tokens_per_minute, now)
        self.answers = _bucket(self.answers, settings.output_tokens_per_minute, now)
        limit = settings.tokens_per_day
        if limit is None:
            self.day = None
        elif self.day is None:
            self.day = DayBudget(limit, self._days)
        else:
            self.day.limit = limit
        self.most, self.most_streams = settings.max_concurrent, settings.max_streams

    def shortage(self, ask: Ask, now: float) -> Shortage | None:
        """What it is short of for such a job; None: nothing."""
        if self.most is not None and self.concurrent >= self.most:
            return Shortage("concurrent requests", self.most, self.concurrent, 1, _BUSY_S, "")
        if ask.stream and self.most_streams is not None and self.streams >= self.most_streams:
            return Shortage("concurrent streams", self.most_streams, self.streams, 1, _BUSY_S, "")
        total = ask.prompt + ask.answer
        return (
            _of_day(self.day, ask.prompt, total, now)
            or _of_minute(self.requests, "requests", 1.0, 1.0, now)
            or _of_minute(self.tokens, "tokens", ask.prompt, total, now)
            or _of_minute(self.prompts, "input tokens", ask.prompt, ask.prompt, now)
            or _of_minute(self.answers, "output tokens", 0.0, ask.answer, now)
        )

    def view(self, now: float) -> QuotaView:
        """As it is shown."""
        return QuotaView(
            None if self.requests is None else self.requests.view(now),
            None if self.tokens is None else self.tokens.view(now),
            self.concurrent,
            self.most,
            None if self.prompts is None else self.prompts.view(now),
            None if self.answers is None else self.answers.view(now),
            None if self.day is None else self.day.view(now),
            self.streams,
            self.most_streams,
        )


class Holding:
    """What one open job holds of one account."""

    __slots__ = ("_account", "_answers", "_ask", "_day", "_on_day", "_prompts", "_requests", "_taken", "_tokens")

    def __init__(self, account: Account, ask: Ask, now: float) -> None:
        self._account = account
        self._ask = ask
        self._requests, self._tokens = account.requests, account.tokens
        """What it was taken from, and is settled with: the limits may be others by then."""
        self._prompts, self._answers, self._day = account.prompts, account.answers, account.day
        self._on_day = 0
        total = ask.prompt + ask.answer
        self._taken = (
            _taken(self._tokens, total, now),
            _taken(self._prompts, ask.prompt, now),
            _taken(self._answers, ask.answer, now),
        )
        account.concurrent += 1
        account.streams += ask.stream
        if self._requests is not None:
            self._requests.take(1.0, now)
        if self._day is not None:
            self._on_day = self._day.take(total, now)

    def used(self, prompt: float | None, answer: float | None, now: float) -> None:
        """The job is over and used so many tokens; None: as many as was expected."""
        self._closes()
        prompt = self._ask.prompt if prompt is None else prompt
        answer = self._ask.answer if answer is None else answer
        total, prompts, answers = self._taken
        if self._tokens is not None:
            self._tokens.take(prompt + answer - total, now)
        if self._prompts is not None:
            self._prompts.take(prompt - prompts, now)
        if self._answers is not None:
            self._answers.take(answer - answers, now)
        if self._day is not None:
            self._day.give(self._ask.prompt + self._ask.answer - prompt - answer, self._on_day)

    def cut(self, answer: float | None) -> None:
        """The job is over before its answer was: it used its prompt, and so many tokens of that; None: as many as was
        expected."""
        self._closes()
        if answer is None:
            return
        total, prompts, answers = self._taken
        if self._tokens is not None:
            self._tokens.give(total - self._ask.prompt - answer)
        if self._prompts is not None:
            self._prompts.give(prompts - self._ask.prompt)
        if self._answers is not None:
            self._answers.give(answers - answer)
        if self._day is not None:
            self._day.give(self._ask.answer - answer, self._on_day)

    def unused(self) -> None:
        """The job is over, and no engine had begun with it."""
        self._closes()
        if self._requests is not None:
            self._requests.give(1.0)
        for bucket, taken in zip((self._tokens, self._prompts, self._answers), self._taken, strict=True):
            if bucket is not None:
                bucket.give(taken)
        if self._day is not None:
            self._day.give(self._ask.prompt + self._ask.answer, self._on_day)

    def _closes(self) -> None:
        account = self._account
        account.concurrent -= 1
        account.streams -= self._ask.stream
        assert account.concurrent >= 0
        assert account.streams >= 0


def _bucket(known: Bucket | None, limit: int | None, now: float) -> Bucket | None:
    """Of a limit per minute, with what was used of the one before."""
    if limit is None or known is None:
        return None if limit is None else Bucket(limit, now)
    known.resize(limit, now)
    return known


def _taken(bucket: Bucket | None, amount: float, now: float) -> float:
    """As much as there can be at once: a longer answer is a debt when it has come."""
    if bucket is None:
        return 0.0
    taken = min(amount, float(bucket.limit))
    bucket.take(taken, now)
    return taken


def _of_minute(bucket: Bucket | None, what: str, least: float, amount: float, now: float) -> Shortage | None:
    """`least`: what it uses for certain."""
    if bucket is None:
        return None
    if least > bucket.limit:
        return _short(what, bucket, least, None, now)
    wanted = min(amount, float(bucket.limit))
    wait_s = bucket.wait_s(wanted, now)
    return _short(what, bucket, wanted, wait_s, now) if wait_s else None


def _short(what: str, bucket: Bucket, wanted: float, wait_s: float | None, now: float) -> Shortage:
    return Shortage(what, bucket.limit, bucket.limit - int(bucket.left(now)), ceil(wanted), wait_s)


def _of_day(day: DayBudget | None, prompt: float, total: float, now: float) -> Shortage | None:
    if day is None:
        return None
    wanted = min(total, float(day.limit))
    left = day.left(now)
    if prompt <= day.limit and wanted <= left:
        return None
    wait_s = None if prompt > day.limit else day.wait_s(now)
    return Shortage("tokens", day.limit, ceil(day.used(now)), ceil(max(prompt, wanted)), wait_s, "day")
