"""What a shell is told to complete."""

import shutil
import subprocess
from pathlib import Path

import pytest

from proxy.cli.commands import COMMANDS
from proxy.cli.main import main
from proxy.cli.options import SHELLS
from proxy.cli.parser import options_of


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_long_option_is_in_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for command in COMMANDS:
        assert command in script
        for option in options_of(command):
            assert option.lstrip("-") in script


def completed(script: str, *words: str) -> set[str]:
    """What bash offers for the last word."""
    ask = (
        f"{script}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
        f"_shtab_tidegate {words[0]} {words[-1]} {words[-2]}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return set(subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_bash_completes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    script = capsys.readouterr().out
    assert completed(script, "tidegate", "ser") == {"serve"}
    assert completed(script, "tidegate", "serve", "--l") >= {"--listen", "--log-level", "--log-format"}


def test_another_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "ksh"]) == 2
    assert "invalid choice: 'ksh'" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish on this machine")
def test_fish_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "fish"])
    script = tmp_path / "tidegate.fish"
    script.write_text(capsys.readouterr().out)

    def offered(line: str) -> set[str]:
        ask = f"source {script}; complete -C '{line}'"
        told = subprocess.run(["fish", "--no-config", "-c", ask], capture_output=True, text=True, check=True).stdout
        return {one.partition("\t")[0] for one in told.splitlines()}

    assert offered("tidegate ser") == {"serve"}
    assert offered("tidegate serve --l") >= {"--listen", "--log-level", "--log-format"}
    assert offered("tidegate check --format ") >= {"text", "json", "github"}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh on this machine")
def test_zsh_finds_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As people install it: a file in fpath, which compinit looks for."""
    main(["completion", "zsh"])
    (tmp_path / "_tidegate").write_text(capsys.readouterr().out)
    ask = f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -D -u; print -r -- $_comps[tidegate]"
    told = subprocess.run(["zsh", "-f", "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "_tidegate"
    subprocess.run(["zsh", "-n", str(tmp_path / "_tidegate")], check=True)
