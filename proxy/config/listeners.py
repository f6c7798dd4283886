"""Addresses that get in each other's way: two listeners on one port, and a backend that is this proxy itself.

Owns which addresses mean the same place. Pure: what only this machine can tell (which other addresses are its own) is
asked of `is_own`; `surroundings` knows.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from proxy.config.address import Address, parse_address
from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.refusal import quoted

IsOwn = Callable[[str], bool]
"""Whether a host name or address in lower case is one of this machine's, loopback left aside."""

_LISTENERS = ("listen", "admin")
_NAMES_OF_LOOPBACK = ("localhost", "localhost.", "localhost.localdomain", "ip6-localhost")


def nobody_knows(host: str) -> bool:
    """The `IsOwn` of a machine that is not known."""
    return False


def listener_findings(groups: Mapping[str, Any], backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    """What is wrong with `listen` and `admin`, wherever the proxy runs."""
    listen, admin = groups.get("listen"), groups.get("admin")
    if listen and admin and _collide(parse_address(listen), parse_address(admin)):
        same = "is the same address as listen" if listen == admin else f"takes the port of listen ({listen})"
        yield Finding(("admin",), same, "give the two listeners different ports")
    yield from loop_findings(groups, backends, nobody_knows)
    yield from _admin_open_to_all(groups)


def loop_findings(
    groups: Mapping[str, Any], backends: Mapping[int, BackendOptions], is_own: IsOwn
) -> Iterator[Finding]:
    """Backends that are this proxy: what is sent there comes back, again and again."""
    for index, backend in backends.items():
        target = Address(backend.address.host, backend.address.port)
        name = next(
            (n for n in _LISTENERS if groups.get(n) and reaches(target, parse_address(groups[n]), is_own)), None
        )
        if name is not None:
            message = f"is this proxy's own address ({name}: {groups[name]})"
            hint = f"if an engine listens there, give {name} another port"
            yield Finding(("backends", index, "url"), message, hint)


def reaches(target: Address, listener: Address, is_own: IsOwn) -> bool:
    """Whether who connects to `target` from this machine arrives at `listener`."""
    if target.port != listener.port or not listener.port:
        return False
    if target.host == listener.host:
        return True
    places = _places(target.host)
    if _is_wildcard(listener.host):
        heard = [place for place in places if _hears(listener.host, place)]
        local = any(place.is_loopback or place.is_unspecified for place in heard)
        return local or ((bool(heard) or not places) and is_own(target.host))
    return any(_reachable(place) & _reachable(other) for place in places for other in _places(listener.host))


def _collide(one: Address, other: Address) -> bool:
    """Whether two listeners want the same port of the same place."""
    if one.port != other.port or not one.port:
        return False
    if one.host == other.host:
        return True
    hosts = ((one.host, other.host), (other.host, one.host))
    if any(_is_wildcard(wide) and any(_hears(wide, place) for place in _places(host)) for wide, host in hosts):
        return True
    return bool(set(_places(one.host)) & set(_places(other.host)))


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches a listener on `host`; False too where that is not known."""
    places = _places(host)
    return bool(places) and all(place.is_loopback for place in places)


def _admin_open_to_all(groups: Mapping[str, Any]) -> Iterator[Finding]:
    address, console = groups.get("admin"), groups.get("console")
    if address and _is_wildcard(parse_address(address).host) and groups.get("admin_key") is None:
        plays = ", and send requests from it" if console is not None and console.playground else ""
        who = f"{quoted(address)} is every network of this machine, and whoever reaches it may read the metrics"
        hint = "listen on 127.0.0.1, write admin_key, or let a firewall stand in front"
        yield Finding(("admin",), f"{who}, see the page and ask /explain{plays}", hint, Severity.WARNING)


def _is_wildcard(host: str) -> bool:
    return any(place.is_unspecified for place in _places(host))


def _hears(wildcard: str, place: IPv4Address | IPv6Address) -> bool:
    """Whether a wildcard listener has connections to `place`: an IPv6 one takes IPv4 too."""
    return ":" in wildcard or place.version == 4


def _reachable(place: IPv4Address | IPv6Address) -> set[IPv4Address | IPv6Address]:
    """`place`, and where a connection to an unspecified address ends: at loopback."""
    if not place.is_unspecified:
        return {place}
    return {place, ip_address("127.0.0.1" if place.version == 4 else "::1")}


def _places(host: str) -> list[IPv4Address | IPv6Address]:
    """The addresses that a host means without asking anybody; none for most names."""
    if host in _NAMES_OF_LOOPBACK or host.endswith(".localhost"):
        return [ip_address("127.0.0.1"), ip_address("::1")]
    try:
        if ":" not in host:
            return [ip_address(socket.inet_aton(host))]  # 127.1 and 0x7f000001 too, as the resolver reads them
        found = IPv6Address(host)
    except (OSError, ValueError):
        return []
    return [found.ipv4_mapped or found]
