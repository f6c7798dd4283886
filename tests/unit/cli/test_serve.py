"""tidegate serve, demo and sim: what reaches the application, and that a broken configuration never does."""

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from proxy.app.demo import show
from proxy.cli.main import main
from proxy.config.loader import Loaded
from proxy.config.schema import Config

RIGHT = "version: 1\nlisten: localhost:1\nbackends:\n  - url: http://a\n"


class Recorder:
    """Stands for the application: remembers what it was asked to run."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def run(self, *arguments: object) -> int:
        self.calls.append(arguments)
        return 7


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    package = ModuleType("proxy.app")
    for name in ("serve", "sim"):
        module = ModuleType(f"proxy.app.{name}")
        module.run = recorder.run  # type: ignore[attr-defined]
        setattr(package, name, module)
        monkeypatch.setitem(sys.modules, f"proxy.app.{name}", module)
    monkeypatch.setitem(sys.modules, "proxy.app", package)
    return recorder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "r.yaml"
    path.write_text(RIGHT)
    return path


def served(app: Recorder) -> Config:
    ((loaded, *_),) = app.calls
    assert isinstance(loaded, Loaded)
    assert loaded.config is not None
    return loaded.config


def test_the_file_is_served(app: Recorder, file: Path) -> None:
    assert main(["serve", str(file)]) == 7
    assert served(app).listen == "localhost:1"
    assert app.calls[0][1] == str(file)


def test_overrides(app: Recorder, file: Path) -> None:
    argv = ["serve", str(file), "--listen", "[::1]:0", "--admin", "h:2", "--log-level", "error", "--log-format", "json"]
    assert main(argv) == 7
    config = served(app)
    assert (config.listen, config.admin) == ("[::1]:0", "h:2")
    assert (config.log.level, config.log.format) == ("error", "json")


@pytest.mark.parametrize("text", ["", "version: 1\n", RIGHT + "  - {}\n", "\0", "[" * 9999])
def test_a_broken_configuration_never_starts(
    app: Recorder, file: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text)
    assert main(["serve", str(file), "--listen", "h:3"]) == 1
    assert app.calls == []
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"{file}:")
    assert captured.err.endswith("is wrong; nothing was started\n")


def test_a_missing_file_never_starts(app: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path / "nowhere")]) == 1
    assert "there is no such file; `tidegate init` writes one" in capsys.readouterr().err
    assert app.calls == []


def test_a_warning_goes_to_the_log_and_the_file_is_served(app: Recorder, file: Path) -> None:
    file.write_text(RIGHT + "    api_key: plain-text-key\n")
    assert main(["serve", str(file)]) == 7
    ((line,),) = app.calls[0][3:]
    assert "warning: backends[0].api_key" in line
    assert "plain-text-key" not in line
    assert "\n" not in line
    assert served(app).backends[0].api_key is not None


def test_an_override_that_does_not_fit_is_a_usage_error(
    app: Recorder, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(file), "--admin", "localhost:1"]) == 2
    assert "admin is the same address as listen" in capsys.readouterr().err
    assert main(["serve", str(file), "--admin", "localhost:1", "--log-format", "json"]) == 2
    assert "admin is the same address as listen" in json.loads(capsys.readouterr().err)["message"]
    assert app.calls == []


def test_demo_gets_what_was_wished_for(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(show, "run", recorder.run)
    assert main(["demo"]) == 7
    assert main(["demo", "--listen", "h:1", "--admin", "h:2", "--scene", "slow", "--for", "5s", "--load", "2"]) == 7
    assert recorder.calls == [
        (show.Wishes("127.0.0.1:8080", "127.0.0.1:9090"),),
        (show.Wishes("h:1", "h:2", ("slow",), 5.0, 2.0),),
    ]


def test_sim_brings_its_own_arguments(app: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--speed", type=float)

    monkeypatch.setattr(sys.modules["proxy.app.sim"], "add_arguments", add_arguments, raising=False)
    assert main(["sim", "--speed", "2"]) == 7
    ((arguments,),) = app.calls
    assert isinstance(arguments, argparse.Namespace)
    assert arguments.speed == 2


def test_urls_without_a_file(app: Recorder) -> None:
    argv = [
        "serve",
        "http://127.0.0.1:8001",
        "https://h/v1",
        "--listen",
        "0.0.0.0:1",
        "--auth",
        "none",
        "--admin",
        "h:2",
        "--log-format",
        "json",
    ]
    assert main([*argv, "--log-level", "error"]) == 7
    config = served(app)
    assert [backend.url for backend in config.backends] == ["http://127.0.0.1:8001", "https://h"]
    assert (config.listen, config.admin, config.log.format, config.log.level) == ("0.0.0.0:1", "h:2", "json", "error")
    assert config.auth.mode == "none"
    assert app.calls[0][1] == "the command line"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ftp://h"], 'backends[0].url: unknown scheme "ftp"'),
        (["http://a", "http://b:99999"], "backends[1].url: port 99999 is not between"),
        (["http:/127.0.0.1:8001"], "backends[0].url: has no scheme"),
        (["http://a:x'{\"[: #"], "backends[0].url: "),
        (["http://a\udcff\n  - url: http://b"], "backends[0].url: "),
        (["127.0.0.1:8001"], 'did you mean "http://127.0.0.1:8001"?'),
        (["localhost:8001/v1"], 'did you mean "http://localhost:8001/v1"?'),
        (["http://a", "[::1]:8001"], 'did you mean "http://[::1]:8001"?'),
        (["http://a", "routing.yaml"], '"routing.yaml" is one word too many'),
        (["routing.yaml", "http://a"], '"routing.yaml" is one word too many'),
        (["http://a", "--admin", "127.0.0.1:8080"], "admin: is the same address as listen"),
        (["http://a", "--listen", "0.0.0.0:1"], "serve --auth none"),
        (["http://a", "--auth", "keys"], "nobody could come in"),
        (["http://a", "--auth", "nobody"], "is not one of off, none, keys"),
    ],
)
def test_wrong_urls_are_usage_errors(
    app: Recorder, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert app.calls == []


def test_a_password_in_a_url_is_not_shown(app: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "http://me:hunter22@h:1"]) == 2
    assert "hunter22" not in capsys.readouterr().err


def test_the_same_engine_twice_is_a_warning(app: Recorder) -> None:
    assert main(["serve", "http://a", "http://a"]) == 7
    ((line,),) = app.calls[0][3:]
    assert "warning: backends[1].url" in line


def test_nothing_named_shows_a_file_that_is_right(
    app: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--log-format", "json"]) == 2
    said = capsys.readouterr().err
    lines = said[said.index("  version: 1") :].splitlines()[:3]
    shown = tmp_path / "routing.yaml"
    shown.write_text("\n".join(line[2:] for line in lines))
    assert main(["check", "--strict", str(shown)]) == 0
    assert "tidegate init" in said
    assert app.calls == []
