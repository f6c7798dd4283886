"""The fixtures of tests over sockets, and the certificate of the engine that speaks TLS."""

import pytest

from tests.support.certificates import Certificate, self_signed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"), "engine", "engine", "IP:127.0.0.1")
