"""The places these tests read."""

from pathlib import Path

import pytest

from tests.support.fixtures import start_backend, start_proxy

__all__ = ["deploy", "start_backend", "start_proxy"]

CLONE = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def deploy() -> Path:
    return CLONE / "deploy"
