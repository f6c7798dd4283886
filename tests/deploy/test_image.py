"""The Dockerfile's promises: locked, not root, a process 1 that gets SIGTERM, and commands that exist."""

import json
import re
from typing import Any

import pytest

from proxy.cli.parser import build_parser
from tests.deploy.conftest import CLONE


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """(instruction, rest) in order, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (CLONE / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def last(steps: list[tuple[str, str]], instruction: str) -> str:
    """The value in force; of the last stage only."""
    start = max(place for place, (word, _) in enumerate(steps) if word == "FROM")
    return [rest for word, rest in steps[start:] if word == instruction][-1]


def parsed(command: list[str]) -> Any:
    """The command line as tidegate understands it; SystemExit when it does not."""
    return build_parser(command[0]).parse_args(command)


def test_process_one_is_tidegate_itself(steps: list[tuple[str, str]]) -> None:
    assert json.loads(last(steps, "ENTRYPOINT")) == ["tidegate"]
    assert last(steps, "STOPSIGNAL") == "SIGTERM"


def test_the_default_command_is_valid_and_reachable_from_outside(steps: list[tuple[str, str]]) -> None:
    arguments = parsed(json.loads(last(steps, "CMD")))
    assert (arguments.listen, arguments.admin) == ("0.0.0.0:8080", "0.0.0.0:9090")
    assert set(last(steps, "EXPOSE").split()) == {"8080", "9090"}


def test_health_is_asked_by_the_own_binary(steps: list[tuple[str, str]]) -> None:
    command = json.loads(last(steps, "HEALTHCHECK").partition("CMD ")[2])
    assert command[0] == "tidegate"
    assert parsed(command[1:]).url == "http://127.0.0.1:9090/readyz"


def test_it_is_not_root(steps: list[tuple[str, str]]) -> None:
    user, _, group = last(steps, "USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_images_are_pinned_and_slim(steps: list[tuple[str, str]]) -> None:
    images = [rest.split()[0] for word, rest in steps if word == "FROM"]
    assert len(images) == 2
    assert all(re.fullmatch(r"python:3\.1[1-4]-slim-[a-z]+", image) for image in images)


def test_nothing_unlocked_is_installed(steps: list[tuple[str, str]]) -> None:
    installs = [part for word, rest in steps if word == "RUN" for part in rest.split("&&") if "pip install " in part]
    assert len(installs) == 2
    for command in installs:
        assert "--require-hashes" in command or {"--no-deps", "--no-build-isolation"} <= set(command.split())


def test_it_is_compiled_or_not_built_at_all(steps: list[tuple[str, str]]) -> None:
    (build,) = (rest for word, rest in steps if word == "RUN" and "--no-build-isolation" in rest)
    assert build.startswith("TIDEGATE_COMPILE=yes ")
    assert any(word == "RUN" and "apt-get install" in rest and " gcc " in rest for word, rest in steps)


def test_what_is_copied_gets_past_dockerignore(steps: list[tuple[str, str]]) -> None:
    let_in = {line[1:] for line in (CLONE / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for word, rest in steps if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]}
    assert copied == let_in
    assert all((CLONE / name).exists() for name in copied)
