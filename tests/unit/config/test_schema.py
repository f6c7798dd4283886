"""The tree as a whole, built without a file."""

import pytest
from pydantic import ValidationError

from proxy.config.options import all_options, group_at, option_holding, shown
from proxy.config.schema import MAX_BACKENDS, Config
from proxy.model.limits import DrainSettings, HealthSettings, HoldSettings, Limits, RetrySettings

URL = "http://127.0.0.1:8001"


def config(**options: object) -> Config:
    return Config.model_validate({"version": 1, "backends": [{"url": URL}]} | options)


def test_defaults_come_from_the_limits() -> None:
    made = config()
    assert made.listen == "127.0.0.1:8080"
    assert made.admin == "127.0.0.1:9090"
    assert (made.limits, made.retries, made.hold) == (Limits(), RetrySettings(), HoldSettings())
    assert (made.health, made.drain) == (HealthSettings(), DrainSettings())
    assert made.headers.forward == ()


def test_unnamed_backends_get_unique_names() -> None:
    made = config(backends=[{"url": URL}, {"url": f"{URL}/b"}])
    assert [b.name for b in made.backends] == ["127.0.0.1:8001", "127.0.0.1:8001-2"]


@pytest.mark.parametrize(("count", "fits"), [(0, False), (1, True), (MAX_BACKENDS, True), (MAX_BACKENDS + 1, False)])
def test_number_of_backends(count: int, fits: bool) -> None:
    backends = [{"url": f"http://h{i}"} for i in range(count)]
    if fits:
        assert len(config(backends=backends).backends) == count
    else:
        with pytest.raises(ValidationError, match=r"at (least|most)"):
            config(backends=backends)


def test_rules_across_groups_hold_without_a_file_too() -> None:
    with pytest.raises(ValidationError, match="admin: is the same address as listen"):
        config(listen="h:1", admin="h:1")


def test_an_error_does_not_show_its_input() -> None:
    with pytest.raises(ValidationError) as caught:
        config(backends=[{"url": URL, "api_key": "hunter22 hunter22"}])
    assert "hunter22" not in str(caught.value)


def test_every_option_is_explained() -> None:
    for option in all_options(Config):
        about = option.field.description or (option.group and option.group.__doc__)
        assert about, shown(option.path)


def test_paths_lead_to_options() -> None:
    assert group_at(Config, ("backends", 3, "tls")) is not None
    assert group_at(Config, ("backends", 3, "name")) is None
    assert option_holding(Config, ("backends", 0, "models", 1)) is not None
    assert option_holding(Config, ("backends", 0, "aliases", "a")) is not None
    assert option_holding(Config, ("backends", 0, "wieght")) is None
    assert shown(("backends", 1, "aliases", "a.b", "x")) == 'backends[1].aliases["a.b"].x'
