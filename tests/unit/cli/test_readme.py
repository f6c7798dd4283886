"""What the README tells a newcomer to type is what the program understands."""

import re
import shlex
from pathlib import Path

import pytest

from proxy.cli.commands import COMMANDS
from proxy.cli.main import main
from proxy.cli.mistakes import unknown_option
from proxy.cli.parser import build_parser
from proxy.cli.serve import HOW

CLONE = Path(__file__).parents[3]
README = (CLONE / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
TYPED = [line for kind, text in BLOCKS if not kind for line in text.splitlines() if line.startswith("tidegate ")]


@pytest.mark.parametrize("line", TYPED)
def test_every_command_line_is_understood(line: str) -> None:
    _, *argv = shlex.split(line, comments=True)
    assert unknown_option(argv) == 0
    build_parser(argv[0]).parse_args(argv)


def test_there_are_some() -> None:
    assert {line.split()[1] for line in TYPED} >= {"serve", "init", "check"}


def test_the_table_has_every_command_and_no_other() -> None:
    assert set(re.findall(r"^\| `tidegate ([a-z]+)", README, re.MULTILINE)) == COMMANDS.keys()


def test_options_named_in_the_table_exist() -> None:
    for command, rest in re.findall(r"^\| `tidegate ([a-z]+)(.*)$", README, re.MULTILINE):
        assert unknown_option([command, *re.findall(r"--[a-z-]+", rest)]) == 0


FILES = [text for kind, text in BLOCKS if kind == "yaml"]


@pytest.mark.parametrize("shown", FILES)
def test_the_files_it_shows_are_right(shown: str, tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(shown)
    assert main(["check", "--strict", str(file)]) == 0


def test_the_smallest_file_is_the_one_that_serve_shows() -> None:
    lines = [line for line in min(FILES, key=len).splitlines() if not line.startswith("#")]
    assert "\n".join(f"  {line}" for line in lines) in HOW


def test_the_program_is_where_it_says() -> None:
    assert ".venv/bin/tidegate" in README
    assert 'export PATH="$PWD/.venv/bin:$PATH"' in README
    assert "$(VENV)/tidegate demo" in (CLONE / "Makefile").read_text()
    assert "VENV := .venv/bin" in (CLONE / "Makefile").read_text()
