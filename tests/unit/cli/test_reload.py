"""`tidegate reload` against a port that answers as told."""

from collections.abc import Iterator

import pytest

from proxy.cli.main import main
from tests.support.admin_port import AdminPort, admin_port

DONE = {"reloaded": True, "hash": "abc", "changes": [], "restart_needed": [], "errors": []}


@pytest.fixture
def admin() -> Iterator[AdminPort]:
    with admin_port() as port:
        yield port


def run(admin: AdminPort, *arguments: str) -> int:
    return main(["reload", "--admin", admin.url, *arguments])


def test_a_reload_says_what_changed(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    changed = {**DONE, "changes": ["hold.max_wait: 30s → 7s"], "restart_needed": ["listen: a → b"]}
    admin.answers += [(200, changed), (200, DONE)]
    assert run(admin) == 0
    assert capsys.readouterr().out.splitlines() == [
        "hold.max_wait: 30s → 7s",
        "restart needed: listen: a → b",
        "reloaded: abc",
    ]
    assert run(admin) == 0
    assert capsys.readouterr().out == "reloaded: abc, nothing changed\n"
    assert admin.asked == ["POST /reload", "POST /reload"]


def test_a_wrong_file(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answers += [(422, {**DONE, "reloaded": False, "errors": ["f.yaml:3:1: no"]})]
    assert run(admin) == 1
    assert "f.yaml:3:1: no" in (said := capsys.readouterr().err)
    assert "nothing was changed" in said


def test_a_trial_and_its_ends(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answers += [
        (200, {**DONE, "trial": {"until": 0, "back_to": "old"}}),
        (200, {**DONE, "trial": None}),
        (200, {"confirmed": True, "hash": "abc"}),
        (409, {"error": "no configuration is on trial"}),
        (200, {"rolled_back": True, "hash": "old"}),
    ]
    assert run(admin, "--confirm", "60s") == 0
    assert "then old again; keep it: tidegate reload --confirmed" in capsys.readouterr().out
    assert run(admin, "--confirm", "60s") == 0
    assert "no trial" in capsys.readouterr().out
    assert run(admin, "--confirmed") == 0
    assert run(admin, "--confirmed") == 1
    assert run(admin, "--rollback") == 0
    assert admin.asked == [
        "POST /reload?confirm=60s",
        "POST /reload?confirm=60s",
        "POST /reload/confirm",
        "POST /reload/confirm",
        "POST /reload/rollback",
    ]


@pytest.mark.parametrize("answer", [(404, b"not a tidegate"), (200, b"[1]"), (500, b"")])
def test_somebody_else_is_there(
    admin: AdminPort, answer: tuple[int, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    admin.answers.append(answer)
    assert run(admin) == 1
    assert capsys.readouterr().err.startswith("tidegate reload: ")


def test_a_demo_has_nothing_to_reload(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answers = [(404, b"Known here: /, /status.\n")]
    assert run(admin) == 1
    assert "nothing can be reloaded there; is it a demo" in capsys.readouterr().err


def test_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reload", "--admin", "http://127.0.0.1:1"]) == 1
    assert "no proxy answers at http://127.0.0.1:1: connection refused" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--confirm", "0s"), ("--confirm", "2h"), ("--confirm", "x")])
def test_times_that_are_none(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reload", *words]) == 2


def test_words_that_exclude_each_other() -> None:
    assert main(["reload", "--confirmed", "--rollback"]) == 2
