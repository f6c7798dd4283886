"""Hard limits of tenants: who has which, for all of its requests and for some of them.

Owns whose account is whose, and what of them outlives a configuration and a restart. Knows no header and no answer:
what is short, by how much and for how long is said, and that is all.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from proxy.core.tenancy.accounts import Account, Ask, Holding, Shortage
from proxy.core.tenancy.buckets import DayBudget, Days
from proxy.core.tenancy.classify import names
from proxy.model.request import Job
from proxy.model.tenants import OTHERS, Allowance, QuotaView, ScopeSettings, TenantSettings

MAX_TENANTS: Final = 4096
"""Tenants without an entry that are remembered; the longest unseen is forgotten, and has its limits whole again."""
DayRow = tuple[str, str, int, float]
"""Tenant, scope, day since 1970, tokens used of it."""


class Scope:
    """Some requests of a tenant, and their limits."""

    __slots__ = ("account", "label", "model", "traffic_class")

    def __init__(self, settings: ScopeSettings, account: Account) -> None:
        self.model = settings.model
        self.traffic_class = settings.class_
        self.label = label_of(settings)
        self.account = account

    def fits(self, job: Job) -> bool:
        """Whether a job is one of them."""
        if self.traffic_class is not None and self.traffic_class != job.traffic_class:
            return False
        return self.model is None or names(self.model, job.model)


class TenantAccount:
    """One tenant."""

    __slots__ = ("_days", "own", "scopes")

    def __init__(self, settings: TenantSettings, days: Days, now: float) -> None:
        self._days = days
        self.own = Account(settings, days, now)
        """For all of its requests."""
        self.scopes: list[Scope] = []
        self.configure(settings, now)

    def configure(self, settings: TenantSettings, now: float) -> None:
        """Other limits; what was used counts on, by what they are for."""
        self.own.configure(settings, now)
        known = {scope.label: scope.account for scope in self.scopes}
        self.scopes = []
        for entry in settings.limits:
            account = known.pop(label_of(entry), None)
            if account is None:
                account = Account(entry, self._days, now)
            else:
                account.configure(entry, now)
            self.scopes.append(Scope(entry, account))

    def shortage(self, job: Job, prompt: float, answer: float, now: float) -> Shortage | None:
        """What is short for longest, for a job of about so many tokens; None: nothing."""
        ask = Ask(prompt, answer, job.stream)
        worst = self.own.shortage(ask, now)
        for scope in self.scopes:
            if scope.fits(job):
                found = scope.account.shortage(ask, now)
                if found is not None and (worst is None or _lasts_longer(found, worst)):
                    worst = found._replace(scope=scope.label)
        return worst

    def reserve(self, job: Job, prompt: float, answer: float, now: float) -> "Reservation":
        """For a job that has come."""
        ask = Ask(prompt, answer, job.stream)
        return Reservation([Holding(account, ask, now) for account in self._of(job)])

    def view(self, now: float, job: Job | None = None) -> QuotaView:
        """As it is shown: of each limit the one of which the least is left for `job`; None: of all of its requests."""
        if job is None or not self.scopes:
            return self.own.view(now)
        views = [account.view(now) for account in self._of(job)]
        busiest = min(views, key=_room)
        in_streams = min(views, key=_room_for_streams)
        return QuotaView(
            _least([view.requests for view in views]),
            _least([view.tokens for view in views]),
            busiest.concurrent,
            busiest.max_concurrent,
            _least([view.input_tokens for view in views]),
            _least([view.output_tokens for view in views]),
            _least([view.day_tokens for view in views]),
            in_streams.streams,
            in_streams.max_streams,
        )

    def budgets(self) -> list[tuple[str, DayBudget]]:
        """By scope, those of days."""
        found = [("", self.own.day), *((scope.label, scope.account.day) for scope in self.scopes)]
        return [(label, day) for label, day in found if day is not None]

    def _of(self, job: Job) -> list[Account]:
        return [self.own, *[scope.account for scope in self.scopes if scope.fits(job)]]


class Reservation:
    """What one open job holds of its tenant's limits."""

    __slots__ = ("_holdings",)

    def __init__(self, holdings: list[Holding]) -> None:
        self._holdings = holdings

    def used(self, prompt: float | None, answer: float | None, now: float) -> None:
        """The job is over and used so many tokens; None: as many as was expected."""
        for holding in self._holdings:
            holding.used(prompt, answer, now)

    def cut(self, answer: float | None) -> None:
        """The job is over before its answer was, of which so many tokens had come; None: nobody counted."""
        for holding in self._holdings:
            holding.cut(answer)

    def unused(self) -> None:
        """The job is over, and no engine had begun with it."""
        for holding in self._holdings:
            holding.unused()


class Quotas:
    """All tenants."""

    def __init__(self, tenants: Sequence[TenantSettings]) -> None:
        self.limits_anybody = False
        """Else nobody need be asked about."""
        self.days = Days()
        self._others: TenantSettings | None = None
        self._settings: dict[str, TenantSettings] = {}
        self._named: frozenset[str] = frozenset()
        self._accounts: OrderedDict[str, TenantAccount] = OrderedDict()
        self._strangers: OrderedDict[str, TenantAccount] = OrderedDict()
        self.configure(tenants, 0.0)

    def configure(self, tenants: Sequence[TenantSettings], now: float) -> None:
        """Other limits: what each has used counts on, and who is limited no more is forgotten."""
        limited = {entry.tenant: entry for entry in tenants if _limits(entry)}
        self._others = limited.pop(OTHERS, None)
        self._settings = limited
        self._named = frozenset(entry.tenant for entry in tenants)
        self.limits_anybody = bool(limited) or self._others is not None
        known = {**self._accounts, **self._strangers}
        self._accounts.clear()
        self._strangers.clear()
        for tenant, account in known.items():
            is_named = tenant in self._named
            settings = self._settings.get(tenant) if is_named else self._others
            if settings is not None:
                account.configure(settings, now)
                (self._accounts if is_named else self._strangers)[tenant] = account

    def account(self, tenant: str, now: float) -> TenantAccount | None:
        """None: no limits."""
        settings = self._settings.get(tenant)
        if settings is not None:
            return self._found(self._accounts, tenant, settings, now)
        if self._others is None or tenant in self._named:
            return None
        while len(self._strangers) >= MAX_TENANTS and tenant not in self._strangers:
            self._strangers.popitem(last=False)
        return self._found(self._strangers, tenant, self._others, now)

    def view(self, tenant: str, now: float, job: Job | None = None) -> QuotaView | None:
        """None: no limits."""
        account = self.account(tenant, now)
        return None if account is None else account.view(now, job)

    def views(self, now: float) -> dict[str, QuotaView]:
        """Of the tenants that the configuration names."""
        return {t: self._found(self._accounts, t, s, now).view(now) for t, s in self._settings.items()}

    def used_of_days(self) -> list[DayRow]:
        """For a later life."""
        known = [*self._strangers.items(), *self._accounts.items()]
        return [
            (tenant, label, day, used)
            for tenant, account in known
            for label, budget in account.budgets()
            for day, used in budget.rows()
        ]

    def recall(self, rows: Iterable[DayRow]) -> None:
        """What was used in an earlier one; of limits that are no more, nothing."""
        for tenant, label, day, used in rows:
            account = self.account(tenant, self.days.told_at)
            for known, budget in account.budgets() if account is not None else ():
                if known == label:
                    budget.recall(day, used)

    def _found(
        self, accounts: "OrderedDict[str, TenantAccount]", tenant: str, settings: TenantSettings, now: float
    ) -> TenantAccount:
        account = accounts.get(tenant)
        if account is None:
            account = accounts[tenant] = TenantAccount(settings, self.days, now)
        accounts.move_to_end(tenant)
        return account


def label_of(scope: ScopeSettings) -> str:
    """In words, the same for the same requests."""
    of_model = "" if scope.model is None else f"model {scope.model}"
    of_class = "" if scope.class_ is None else f"class {scope.class_}"
    return f"{of_model}, {of_class}" if of_model and of_class else of_model or of_class or "all requests"


def _limits(entry: TenantSettings) -> bool:
    return entry.is_limited or any(scope.is_limited for scope in entry.limits)


def _lasts_longer(one: Shortage, other: Shortage) -> bool:
    if one.wait_s is None or other.wait_s is None:
        return one.wait_s is None and other.wait_s is not None
    return one.wait_s > other.wait_s


def _least(allowances: list[Allowance | None]) -> Allowance | None:
    found = [one for one in allowances if one is not None]
    return min(found, key=_left_of) if found else None


def _left_of(allowance: Allowance) -> int:
    return allowance.left


def _room(view: QuotaView) -> float:
    return float("inf") if view.max_concurrent is None else view.max_concurrent - view.concurrent


def _room_for_streams(view: QuotaView) -> float:
    return float("inf") if view.max_streams is None else view.max_streams - view.streams
