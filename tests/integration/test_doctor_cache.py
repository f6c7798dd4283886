"""`tidegate doctor` before a real Redis: well, with a password, full, frozen, with TLS, and before what is none."""

import json
from pathlib import Path

import pytest

from proxy.cli.main import main
from tests.support.certificates import Authority
from tests.support.deaf_listener import deaf_listener
from tests.support.redis_server import needs_redis, redis_server

pytestmark = needs_redis


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """What is found of the store at a URL: id → (severity, what)."""
    monkeypatch.setenv("STORE_PASSWORD", "secret-of-store")

    def examined(url: str, more: str = "") -> dict[str, tuple[str, str]]:
        file = tmp_path / "routing.yaml"
        file.write_text(
            'version: 1\nadmin: 127.0.0.1:1\nbackends: [{url: "http://127.0.0.1:2", name: a}]\n'
            f'cache: {{size: 1MiB, remote: "{url}"{more}}}\n'
        )
        assert main(["doctor", str(file), "--json"]) == 1  # the engine is away
        out = capsys.readouterr().out
        assert "secret" not in out
        return {one["id"]: (one["severity"], one["what"]) for one in json.loads(out) if one["where"] == "cache.remote"}

    return examined


PASSWORD = ', remote_password: "${STORE_PASSWORD}"'


def test_one_as_it_should_be(told) -> None:
    with redis_server("--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru") as server:
        found = told(server.url)
    found.pop("cache-slow", None)  # this machine may be busy
    assert list(found) == ["cache-seen"]
    assert found["cache-seen"][1].startswith(("Redis ", "Valkey "))
    assert "pings: p50 " in found["cache-seen"][1]


def test_passwords(told) -> None:
    with redis_server("--requirepass", "secret-of-store") as server:
        assert told(server.url) == {"cache-password": ("error", "it wants a password")}
        assert "cache-seen" in told(server.url, PASSWORD)
    with redis_server("--requirepass", "another") as server:
        assert told(server.url, PASSWORD) == {"cache-password": ("error", "it refuses the password")}
    with redis_server() as server:
        assert told(server.url, PASSWORD) == {"cache-password": ("error", "it has no password, and one is given")}


def test_when_it_is_full(told) -> None:
    with redis_server("--maxmemory", "64mb", "--maxmemory-policy", "noeviction") as server:
        assert "64 MiB, noeviction" in told(server.url)["cache-refuses"][1]
    with redis_server("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru") as server:
        assert "cache-evicts" in told(server.url)
    with redis_server() as server:
        assert "cache-unbounded" in told(server.url)


def test_a_replica_and_a_database_that_is_not_there(told) -> None:
    with redis_server() as primary, redis_server("--replicaof", f"127.0.0.1 {primary.port}") as replica:
        assert "cache-replica" in told(replica.url)
        assert list(told(f"redis://127.0.0.1:{primary.port}/99")) == ["cache-database"]


def test_one_that_says_nothing(told) -> None:
    with redis_server() as server:
        server.freeze()
        try:
            assert told(server.url) == {"cache-away": ("error", "no answer within 2 s")}
        finally:
            server.thaw()
    assert told(server.url)["cache-away"][1] == "cannot be reached: it refuses"
    with deaf_listener() as port:
        assert "says nothing" in told(f"redis://127.0.0.1:{port}")["cache-away"][1]


def test_tls(told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    shown = authority.certificate("store", "IP:127.0.0.1")
    with redis_server() as plain:
        options = ("--tls-cert-file", str(shown.path), "--tls-key-file", str(shown.key), "--tls-auth-clients", "no")
        with redis_server("--tls-port", str(plain.port + 1), *options) as server:
            url = f"rediss://127.0.0.1:{plain.port + 1}/0"
            assert told(url)["cache-tls"][1].startswith("certificate: unable to get local issuer certificate")
            monkeypatch.setenv("SSL_CERT_FILE", str(authority.own.path))
            assert "cache-seen" in told(url)
            assert list(told(f"redis://127.0.0.1:{plain.port + 1}/0")) == ["cache-not-redis"]
            assert list(told(f"rediss://127.0.0.1:{server.port}/0")) == ["cache-tls"]
