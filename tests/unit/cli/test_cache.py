"""`tidegate cache`: what it asks, and what it says of the answer."""

import json
from collections.abc import Iterator

import pytest

from proxy.cli.main import main
from proxy.model.cache import CacheView
from tests.support.admin_port import AdminPort, admin_port


@pytest.fixture
def admin() -> Iterator[AdminPort]:
    with admin_port() as port:
        port.answers = [(200, {"model": "", "prompt": "", "epoch": 3})]
        yield port


def test_bump_of_everything_of_a_model_and_of_a_prompt(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "bump", "--admin", admin.url]) == 0
    assert "all answers (bumped 3 times)" in capsys.readouterr().out
    assert main(["cache", "bump", "--model", "a/b c&d", "--admin", admin.url]) == 0
    assert "of the model a/b c&d" in capsys.readouterr().out
    assert main(["cache", "bump", "--prompt", "support@3", "--admin", admin.url]) == 0
    assert admin.asked == [
        "POST /cache/bump?",
        "POST /cache/bump?model=a%2Fb%20c%26d",
        "POST /cache/bump?prompt=support%403",
    ]


def test_stats(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    view = CacheView(1 << 30, 3 << 20, 7, 2, 9, 1, 0, 1, 4, 0, {"hit": 5, "error": 1})
    admin.answers = [(200, view._asdict())]
    assert main(["cache", "stats", "--admin", admin.url]) == 0
    out = capsys.readouterr().out
    assert "7 answers of 2 tenants, 3 MiB of 1 GiB" in out
    assert "second level: error 1, hit 5" in out
    assert main(["cache", "stats", "--json", "--admin", admin.url]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(view._asdict()))


def test_a_proxy_that_keeps_none(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answers = [(404, {"error": "No answers are kept: cache.size is 0."})]
    assert main(["cache", "stats", "--admin", admin.url]) == 1
    assert "cache.size is 0" in capsys.readouterr().err


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "stats", "--admin", "http://127.0.0.1:1"]) == 1
    assert "no proxy answers at http://127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["bump", "--model", "a", "--prompt", "b"], ["stats", "--model", "a"], [], ["clear"], ["bump", "--all"]]
)
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", *words]) == 2
    assert capsys.readouterr().err
