"""What lives as long as the test session; nothing is started before a test asks for it."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

import proxy as package

# Machines that run tests are busy with others: how fast an example is made says nothing about the code.
settings.register_profile("tidegate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tidegate")

if TYPE_CHECKING:
    from tests.support.bed import Bed
    from tests.support.fake_backend import FakeBackend
    from tests.support.proxy_process import ProxyProcess


def pytest_sessionstart() -> None:
    """Machine code that is older than its source would be tested in its place."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs beside them; programs inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    compiled = Path(package.__file__).parent.rglob("*.so")
    sources = {path: path.with_name(path.name.partition(".")[0] + ".py") for path in compiled}
    stale = sorted(source.name for path, source in sources.items() if source.stat().st_mtime > path.stat().st_mtime)
    if stale:
        pytest.exit(f"changed since it was compiled: {', '.join(stale)}; fix: make test, or make clean", returncode=4)


SESSION_MODELS = ("fake-model", "org/fake-embed", "fake-tools")


@pytest.fixture(scope="session")
def bed() -> Iterator["Bed"]:
    """The loop on which fake engines run, and who is alive."""
    from tests.support.bed import Bed

    bed = Bed()
    yield bed
    bed.stop()


@pytest.fixture(scope="session")
def engine(bed: "Bed") -> Iterator["FakeBackend"]:
    """The well-behaved engine of the session, with three models."""
    with bed.backend(models=SESSION_MODELS) as backend:
        yield backend


@pytest.fixture(scope="session")
def proxy(bed: "Bed", engine: "FakeBackend") -> Iterator["ProxyProcess"]:
    """A proxy in front of `engine` with everything at its default."""
    from tests.support.bed import backend_entry

    with bed.proxy({"backends": [backend_entry(engine, "alpha")]}, models=len(SESSION_MODELS), by_hand=True) as process:
        yield process
