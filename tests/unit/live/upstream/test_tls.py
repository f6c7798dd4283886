"""Certificates that are refused, of real handshakes: whose, why, and what to do."""

import asyncio
import ssl
from pathlib import Path
from time import monotonic

import pytest
import uvloop

from proxy.config.backend import TlsSettings
from proxy.live.upstream import tls
from proxy.live.upstream.pool import ConnectionPool
from proxy.live.watch import Watch
from proxy.model.faults import Fault, FaultError, Kind
from tests.support.certificates import Authority, Certificate, self_signed
from tests.unit.live.standins import address

HERE = "IP:127.0.0.1,DNS:localhost"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


def refused(
    served: ssl.SSLContext | None, settings: TlsSettings, run: object = uvloop.run, host: str = "127.0.0.1"
) -> str:
    """What is said of an engine that is served with that; empty: it was taken."""

    async def play() -> Fault | None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Greeting, "127.0.0.1", 0, ssl=served)
        port = server.sockets[0].getsockname()[1]
        pool = ConnectionPool(address(host=host, port=port, tls=tls.context(settings)), loop, Watch(loop, monotonic))
        try:
            (await pool.connect()).abort()
        except FaultError as error:
            return error.fault
        finally:
            server.close()
        return None

    fault = run(play())
    assert fault is None or fault.kind is Kind.TLS
    return fault.message if fault else ""


class Greeting(asyncio.Protocol):
    """Without TLS: an engine that speaks plain text."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def said_of(certificate: Certificate, ca: Certificate | None = None, verify: bool = True, **more: object) -> str:
    settings = TlsSettings(verify=verify, ca_file=str(ca.path) if ca else None)
    return refused(certificate.server_context(), settings, **more)


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run], ids=["uvloop", "asyncio"])
class TestRefusals:
    def test_self_signed(self, folder, run):
        text = said_of(self_signed(folder, "own", "my-engine", HERE), run=run)
        assert "(my-engine) is self-signed" in text
        assert "`tls.ca_file`" in text
        assert "`tls.verify: false`" in text

    def test_an_unknown_issuer(self, authority, run):
        text = said_of(authority.certificate("issued", HERE), run=run)
        assert "(issued) is issued by Test Authority, unknown here" in text
        assert "`tls.ca_file`" in text

    def test_expired(self, authority, run):
        expired = authority.certificate("expired", HERE, "20200101000000Z", "20210203000000Z")
        text = said_of(expired, authority.own, run=run)
        assert "(expired) expired on Feb  3 00:00:00 2021 GMT" in text
        assert "renew" in text

    def test_not_yet_valid(self, authority, run):
        early = authority.certificate("early", HERE, "20600101000000Z", "20610101000000Z")
        text = said_of(early, authority.own, run=run)
        assert "(early) is not valid before Jan  1 00:00:00 2060 GMT" in text

    def test_another_name(self, authority, run):
        other = authority.certificate("other", "DNS:engine.test,DNS:*.example.test")
        text = said_of(other, authority.own, run=run)
        assert "is for engine.test, *.example.test, not for 127.0.0.1" in text
        assert "`tls.verify: false`" in text

    def test_another_host_name(self, authority, run):
        text = said_of(authority.certificate("address", "IP:127.0.0.1"), authority.own, run=run, host="localhost")
        assert "is for 127.0.0.1, not for localhost" in text

    def test_no_tls_there(self, run):
        text = refused(None, TlsSettings(), run)
        assert "does not speak TLS there; is its url http://?" in text

    def test_taken(self, authority, run):
        good = authority.certificate("good", HERE)
        assert said_of(good, authority.own, run=run) == ""
        assert said_of(good, verify=False, run=run) == ""


def test_names_are_short_and_printable(authority):
    long = ",".join(f"DNS:a{number}.engine.example.test" for number in range(100))
    text = said_of(authority.certificate("many", long), authority.own)
    assert len(text) < 300
    assert text.isprintable()
