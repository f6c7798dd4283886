"""What a shell is told to complete."""

import shutil
import subprocess

import pytest

from proxy.cli.main import main
from proxy.cli.parser import COMMANDS, SHELLS, options_of


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
