"""The places these tests read."""

from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def deploy() -> Path:
    return CLONE / "deploy"
