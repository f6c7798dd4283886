"""Hard quotas of tenants: taken when a job comes, settled when it ends.

Owns the buckets. Knows no header and no answer: what is short, by how much and for how long is said, and that is all.
"""

from collections import OrderedDict
from collections.abc import Sequence
from math import ceil
from typing import Final, NamedTuple

from proxy.model.tenants import OTHERS, Allowance, QuotaView, TenantSettings

MAX_TENANTS: Final = 4096
"""Tenants without an entry that are remembered; the longest unseen is forgotten, and has its quota whole again."""
_MINUTE_S: Final = 60.0
_BUSY_S: Final = 1.0
"""When to come back after too many at once: nobody knows which of them ends first."""


class Bucket:
    """Fills evenly, a whole minute's worth at most; in debt after more was used than had been expected."""

    __slots__ = ("_at", "_left", "limit")

    def __init__(self, limit: int, now: float) -> None:
        self.limit = limit
        self._left = float(limit)
        self._at = now

    def left(self, now: float) -> float:
        """What may be taken now; negative: debt."""
        elapsed = max(0.0, now - self._at)
        return min(float(self.limit), self._left + elapsed * self.limit / _MINUTE_S)

    def take(self, amount: float, now: float) -> None:
        """Below 0: give back."""
        self._left = min(float(self.limit), self.left(now) - amount)
        self._at = max(self._at, now)

    def give(self, amount: float) -> None:
        """Back, whenever: what comes back and what fills up are one sum."""
        self._left = min(float(self.limit), self._left + amount)

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much is there."""
        return max(0.0, amount - self.left(now)) * _MINUTE_S / self.limit

    def resize(self, limit: int, now: float) -> None:
        """Another limit; what was used of the one before is used of this one."""
        self._left = self.left(now) + limit - self.limit
        self._at = max(self._at, now)
        self.limit = limit

    def view(self, now: float) -> Allowance:
        """As it is shown."""
        return Allowance(self.limit, max(0, int(self.left(now))), self.wait_s(self.limit, now))


class Shortage(NamedTuple):
    """What a job does not get."""

    what: str
    """`requests`, `tokens` or `concurrent requests`."""
    limit: int
    used: int
    wanted: int
    wait_s: float | None
    """Until there is enough; None: there never will be."""


class Account:
    """One tenant."""

    __slots__ = ("concurrent", "most", "requests", "tokens")

    def __init__(self, settings: TenantSettings, now: float) -> None:
        self.requests = _bucket(None, settings.requests_per_minute, now)
        self.tokens = _bucket(None, settings.tokens_per_minute, now)
        self.most = settings.max_concurrent
        self.concurrent = 0

    def configure(self, settings: TenantSettings, now: float) -> None:
        """Other limits; what was used counts on."""
        self.requests = _bucket(self.requests, settings.requests_per_minute, now)
        self.tokens = _bucket(self.tokens, settings.tokens_per_minute, now)
        self.most = settings.max_concurrent

    def shortage(self, prompt: float, answer: float, now: float) -> Shortage | None:
        """What is short for a job of about so many tokens; None: nothing."""
        if self.most is not None and self.concurrent >= self.most:
            return Shortage("concurrent requests", self.most, self.concurrent, 1, _BUSY_S)
        requests, tokens = self.requests, self.tokens
        if requests is not None and requests.left(now) < 1.0:
            return _short("requests", requests, 1.0, requests.wait_s(1.0, now), now)
        if tokens is None:
            return None
        if prompt > tokens.limit:
            return _short("tokens", tokens, prompt, None, now)
        wanted = min(prompt + answer, float(tokens.limit))
        wait_s = tokens.wait_s(wanted, now)
        return _short("tokens", tokens, wanted, wait_s, now) if wait_s else None

    def view(self, now: float) -> QuotaView:
        """As it is shown."""
        requests, tokens = self.requests, self.tokens
        return QuotaView(
            None if requests is None else requests.view(now),
            None if tokens is None else tokens.view(now),
            self.concurrent,
            self.most,
        )


class Reservation:
    """What one open job holds of its tenant's quota."""

    __slots__ = ("_account", "_bucket", "_requests", "_tokens")

    def __init__(self, account: Account, prompt: float, answer: float, now: float) -> None:
        self._account = account
        self._requests, self._bucket = account.requests, account.tokens
        """What it was taken from, and is settled with: the limits may be others by then."""
        self._tokens = 0.0
        account.concurrent += 1
        if self._requests is not None:
            self._requests.take(1.0, now)
        if self._bucket is not None:
            self._tokens = min(prompt + answer, float(self._bucket.limit))
            self._bucket.take(self._tokens, now)

    def used(self, tokens: float, now: float) -> None:
        """The job is over and used so many."""
        self.kept()
        if self._bucket is not None:
            self._bucket.take(tokens - self._tokens, now)

    def kept(self) -> None:
        """The job is over and nobody knows what it used: as much as was expected."""
        self._account.concurrent -= 1
        assert self._account.concurrent >= 0

    def unused(self) -> None:
        """The job is over, and no answer to it had begun."""
        self.kept()
        if self._bucket is not None:
            self._bucket.give(self._tokens)
        if self._requests is not None:
            self._requests.give(1.0)


class Quotas:
    """All tenants."""

    def __init__(self, tenants: Sequence[TenantSettings]) -> None:
        self.limits_anybody = False
        """Else nobody need be asked about."""
        self._others: TenantSettings | None = None
        self._settings: dict[str, TenantSettings] = {}
        self._named: frozenset[str] = frozenset()
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._strangers: OrderedDict[str, Account] = OrderedDict()
        self.configure(tenants, 0.0)

    def configure(self, tenants: Sequence[TenantSettings], now: float) -> None:
        """Other limits: what each has used counts on, and who is limited no more is forgotten."""
        limited = {entry.tenant: entry for entry in tenants if _limits(entry)}
        self._others = limited.pop(OTHERS, None)
        self._settings = limited
        self._named = frozenset(entry.tenant for entry in tenants)
        self.limits_anybody = bool(tenants)
        known = {**self._accounts, **self._strangers}
        self._accounts.clear()
        self._strangers.clear()
        for tenant, account in known.items():
            is_named = tenant in self._named
            settings = self._settings.get(tenant) if is_named else self._others
            if settings is not None:
                account.configure(settings, now)
                (self._accounts if is_named else self._strangers)[tenant] = account

    def account(self, tenant: str, now: float) -> Account | None:
        """None: no limits."""
        settings = self._settings.get(tenant)
        if settings is not None:
            return _found(self._accounts, tenant, settings, now)
        if self._others is None or tenant in self._named:
            return None
        while len(self._strangers) >= MAX_TENANTS and tenant not in self._strangers:
            self._strangers.popitem(last=False)
        return _found(self._strangers, tenant, self._others, now)

    def view(self, tenant: str, now: float) -> QuotaView | None:
        """None: no limits."""
        account = self.account(tenant, now)
        return None if account is None else account.view(now)

    def views(self, now: float) -> dict[str, QuotaView]:
        """Of the tenants that the configuration names."""
        return {tenant: _found(self._accounts, tenant, s, now).view(now) for tenant, s in self._settings.items()}


def _found(accounts: "OrderedDict[str, Account]", tenant: str, settings: TenantSettings, now: float) -> Account:
    account = accounts.get(tenant)
    if account is None:
        account = accounts[tenant] = Account(settings, now)
    accounts.move_to_end(tenant)
    return account


def _bucket(known: Bucket | None, limit: int | None, now: float) -> Bucket | None:
    """Of a limit per minute, with what was used of the one before."""
    if limit is None or known is None:
        return None if limit is None else Bucket(limit, now)
    known.resize(limit, now)
    return known


def _limits(entry: TenantSettings) -> bool:
    limits = (entry.requests_per_minute, entry.tokens_per_minute, entry.max_concurrent)
    return any(limit is not None for limit in limits)


def _short(what: str, bucket: Bucket, wanted: float, wait_s: float | None, now: float) -> Shortage:
    return Shortage(what, bucket.limit, bucket.limit - int(bucket.left(now)), ceil(wanted), wait_s)
