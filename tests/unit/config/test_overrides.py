"""What the command line may say otherwise."""

import pytest

from proxy.config.overrides import with_overrides
from proxy.config.schema import Config

CONFIG = Config.model_validate({"version": 1, "backends": [{"url": "http://a"}], "log": {"access": False}})


def test_nothing_given_changes_nothing() -> None:
    assert with_overrides(CONFIG) == CONFIG


def test_given_values_win_and_the_rest_stays() -> None:
    changed = with_overrides(CONFIG, listen="[::1]:1", admin="h:2", log_level="debug", log_format="json")
    assert (changed.listen, changed.admin) == ("[::1]:1", "h:2")
    assert changed.log == CONFIG.log.model_copy(update={"level": "debug", "format": "json"})
    assert not changed.log.access
    assert changed.backends == CONFIG.backends
    assert CONFIG.listen == "127.0.0.1:8080"


def test_an_override_must_fit_the_rest() -> None:
    with pytest.raises(ValueError, match="admin is the same address as listen"):
        with_overrides(CONFIG, listen="127.0.0.1:9090")


def test_a_listener_of_the_command_line_is_no_backend() -> None:
    config = Config.model_validate({"version": 1, "backends": [{"url": "http://127.0.0.1:8001"}]})
    with pytest.raises(ValueError, match=r"backends\[0\]\.url is this proxy's own address"):
        with_overrides(config, listen="0.0.0.0:8001")
