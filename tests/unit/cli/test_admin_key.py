"""Where commands find the key of the admin port."""

from pathlib import Path

import pytest

from proxy.cli.admin_key import VARIABLE, admin_key
from proxy.config.schema import Config
from proxy.config.secrets import SecretSource

WITH_KEY = {"version": 1, "backends": [{"url": "http://a"}], "admin_key": "file-key"}


def test_the_file_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.model_validate(WITH_KEY)
    plain = Config.model_validate({**WITH_KEY, "admin_key": None})
    assert admin_key(None) == admin_key(plain) == {}
    monkeypatch.setenv(VARIABLE, "its-key")
    assert admin_key(config) == {"x-tidegate-admin-key": "file-key"}
    assert admin_key(plain) == admin_key(None) == {"x-tidegate-admin-key": "its-key"}


@pytest.mark.parametrize("odd", ["é", "a\nb", ""])
def test_what_no_header_can_hold_is_no_key(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, odd)
    assert admin_key(None) == {}


def test_it_is_a_secret_like_others() -> None:
    source = SecretSource({"K": "from-env"}, Path())
    config = Config.model_validate({**WITH_KEY, "admin_key": "${K}"}, context=source)
    assert admin_key(config) == {"x-tidegate-admin-key": "from-env"}
    assert "from-env" not in repr(config)
