"""Who may come in: asked of every head on the data port before a byte of its body is read.

    trusted header ──none──▶ API key ──none──▶ 401, where anybody is asked

Owns that order, and what of a head reaches no engine: credentials, and the header that only a proxy in front may write.
What it holds can be changed while connections are open: a key that is gone is gone for them too.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from proxy.core.tenancy.keys import KeyTable
from proxy.model.auth import AuthSettings
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Fault, FaultError, Kind, downstream
from proxy.model.tenants import OTHERS, TenantSettings, is_tenant
from proxy.model.timeline import Clock
from proxy.wire import client_address, identity, routes
from proxy.wire.headers import Head

MAX_KEY_B: Final = 512
"""Longer ones are nobody's, and cost no more."""
_MAX_NAME_B: Final = 256
OFF: Final = "off"
"""Engines are not told where a request came from."""


class Gate:
    """One per proxy. `wall`: seconds since 1970."""

    def __init__(
        self,
        auth: AuthSettings,
        tenants: Sequence[TenantSettings],
        wall: Clock,
        client: str = OFF,
        trust: Sequence[str] = (),
    ) -> None:
        self._wall = wall
        self.configure(auth, tenants, client, trust)

    def configure(
        self, auth: AuthSettings, tenants: Sequence[TenantSettings], client: str = OFF, trust: Sequence[str] = ()
    ) -> None:
        """From the next request on. `client`: the header in which engines are told where a request came from; `trust`:
        networks of proxies in front that may say it."""
        by_key = auth.mode == "keys" or not auth.asks
        self._keys = KeyTable(tenants if by_key else ())
        self._asks = auth.asks
        self._header = b"" if auth.header is None else auth.header.encode()
        self._networks = tuple(ip_network(text) for text in auth.from_)
        self._client = "" if client == OFF else client
        self._client_header = self._client.encode()
        self._fronts = tuple(ip_network(text) for text in trust)
        forwards = auth.forward_authorization
        self._withholds_named = not forwards
        self._withholds_all = forwards is False or (forwards is None and auth.asks)
        self._hidden = identity.CREDENTIALS | ({self._header} if self._header else frozenset())
        self._admits_all = not (self._asks or len(self._keys) or self._withholds_all)
        self.is_open = self._admits_all and not self._client
        """Nobody need be looked at."""

    def admit(self, head: Head, peer: str) -> None:
        """Note in `head` whose it is, and take out of it what engines shall not see. `peer`: the address that it came
        from. FaultError where it may not come in."""
        if self.is_open:
            return
        if self._client:
            self._tell_client(head, peer)
        if self._admits_all:
            return
        fault = self._identify(head, bool(self._header) and _is_in(self._networks, peer))
        if fault is not None and not _is_for_all(head):
            raise FaultError(fault)
        if self._withholds_all or (head.tenant and self._withholds_named):
            head.forward = [header for header in head.forward if header[0].lower() not in self._hidden]
        elif self._header:
            head.forward = [header for header in head.forward if header[0].lower() != self._header]

    def recognise(self, head: Head) -> None:
        """The same for a question about a request: who shows nothing is nobody, and may ask. FaultError for a key that
        is refused."""
        fault = None if self._admits_all else self._identify(head, trusted=True)
        if fault is not None and identity.key(head.fields):
            raise FaultError(fault)

    def _identify(self, head: Head, trusted: bool) -> Fault | None:
        """Why it may not come in, None: it may."""
        shown = identity.key(head.fields)
        holder = self._keys.find(sha256(shown[: MAX_KEY_B + 1]).digest())
        said = head.fields.get(self._header) if trusted and self._header else None
        if said is not None:
            head.tenant = _name(said)
            return None if head.tenant else _refused("The proxy in front names nobody, or more than one.")
        if holder is None or len(shown) > MAX_KEY_B:
            return self._unknown(shown)
        if self._wall() >= holder.expires:
            return _refused("This API key has expired.") if self._asks else None
        head.tenant = holder.tenant
        return None

    def _unknown(self, shown: bytes) -> Fault | None:
        if not self._asks:
            return None
        return _refused("Incorrect API key provided." if shown else "No API key provided.")

    def _tell_client(self, head: Head, peer: str) -> None:
        name = self._client_header
        said = head.fields.get(name) if _is_in(self._fronts, peer) else None
        others = [header for header in head.forward if header[0].lower() != name]
        value = client_address.extended(self._client, said, peer)
        head.forward = [*others, (name, value)] if value else others


def _is_in(networks: Sequence[IPv4Network | IPv6Network], peer: str) -> bool:
    address = _address(peer)
    return address is not None and any(address in network for network in networks)


def _is_for_all(head: Head) -> bool:
    """What browsers ask without a key, before they send one, and what load balancers ask."""
    if head.method == "OPTIONS":
        return True
    try:
        return routes.route(head.target).endpoint is Endpoint.HEALTH
    except FaultError:
        return False


def _name(said: bytes) -> str:
    """What a tenant is called whom a proxy in front names; empty: it named nobody, or two (headers of one name are one
    list). What is no name as ours are is called by its digest."""
    value = said.strip()
    if not value or b"," in value or len(value) > _MAX_NAME_B:
        return ""
    text = value.decode("latin-1")
    return text if text != OTHERS and is_tenant(text) else identity.digits(value)


def _refused(why: str) -> Fault:
    text = f"{why} Send yours as `Authorization: Bearer KEY` or `x-api-key: KEY`."
    return downstream(Kind.UNAUTHORIZED, text, code="invalid_api_key")


@lru_cache(maxsize=1024)
def _address(peer: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(peer)
    except ValueError:
        return None
