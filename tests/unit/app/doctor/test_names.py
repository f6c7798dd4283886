"""Names that resolve to several addresses, to dead ones, slowly, or not at all."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.app.doctor.names import Names, Place, Resolved, of_name

V4, V6 = Place("10.0.0.1", False), Place("fd00::1", True)


def ids(*places: Place, took_s: float = 0.0) -> list[str]:
    return [one.id for one in of_name("a", Resolved("engine", took_s, places))]


def test_a_good_name_is_not_told() -> None:
    assert ids(V4) == ids(V4, V6) == []


def test_one_that_takes_long() -> None:
    assert ids(V4, took_s=0.6) == ["name-slow"]


def test_the_first_address_refuses() -> None:
    (found,) = of_name("a", Resolved("engine", 0.0, (V6._replace(error="refuses"), V4)))
    assert found.id == "name-dead-address"
    assert found.what == "engine is fd00::1 and 10.0.0.1: the first of them, fd00::1, refuses"


def test_the_first_address_is_silent() -> None:
    silent = V6._replace(error="says nothing within 2 s", is_silent=True)
    assert ids(silent, V4) == ["name-first-silent"]
    assert ids(V4, silent) == ["name-dead-address"]


def test_localhost_that_refuses_by_one_of_its_addresses_is_not_told() -> None:
    assert ids(Place("::1", True, "refuses"), Place("127.0.0.1", False)) == []
    assert ids(Place("::1", True, "says nothing", is_silent=True), Place("127.0.0.1", False)) == ["name-first-silent"]


def test_several_machines() -> None:
    assert ids(V4, Place("10.0.0.2", False)) == ["name-several"]


def test_where_nobody_answers_it_is_the_engine_that_is_away() -> None:
    assert ids(V4._replace(error="refuses")) == []


def test_no_name() -> None:
    assert [one.id for one in of_name("a", Resolved("x", 0.1, error="unknown"))] == ["name-unknown"]
    assert [one.id for one in of_name("a", Resolved("x", 3.0, error="late", is_late=True))] == ["name-silent"]


@contextmanager
def listening(family: socket.AddressFamily, host: str, port: int = 0) -> Iterator[int]:
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        yield listener.getsockname()[1]


def answering(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    def look_up(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        families = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in hosts]
        return [(family, socket.SOCK_STREAM, 6, "", (one, 0)) for family, one in zip(families, hosts, strict=True)]

    monkeypatch.setattr("proxy.app.doctor.names.socket.getaddrinfo", look_up)


async def test_an_engine_that_listens_at_the_second_address_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "127.0.0.2", "127.0.0.1", "127.0.0.1")
    with listening(socket.AF_INET, "127.0.0.1") as port:
        found = await Names().reach("engine", port)
    assert [(place.host, place.error) for place in found.places] == [("127.0.0.2", "refuses"), ("127.0.0.1", "")]
    assert [place.host for place in found.reached] == ["127.0.0.1"]


async def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    asked = []

    def hang(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        release.wait()
        return []

    monkeypatch.setattr("proxy.app.doctor.names.socket.getaddrinfo", hang)
    names = Names(0.05)
    first, second = await asyncio.gather(names.reach("engine", 1), names.reach("engine", 2))
    release.set()
    assert first.is_late
    assert second.is_late
    assert asked == ["engine"]


async def test_names_that_cannot_be() -> None:
    assert (await Names().look_up("no-such-host.invalid")).error
    assert (await Names().look_up("a" * 64 + ".example")).error
