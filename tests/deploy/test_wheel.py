"""What an installer makes of the source: compiled where that is possible, and never uncompiled without a word."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.compiled import compiled_modules
from tests.deploy.conftest import CLONE

PACKAGE_OF = {"prometheus_client": "prometheus-client", "pydantic_core": "pydantic"}
UNTYPED = {"httptools", "redis", "yaml"}
"""Two have no types in what `make run` installs, and those of redis, an extra, are skipped: all builds see the same."""
DEADLINE_S = 1200


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source as a clone has it, without anything that was built in it but objects of the very same C: compiling it
    once more would take a minute and show nothing."""
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "requirements.lock"):
        shutil.copy(CLONE / name, copy)
    shutil.copytree(CLONE / "proxy", copy / "proxy", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    if (objects := CLONE / "build" / "objects").is_dir():
        shutil.copytree(objects, copy / "build" / "objects")
    return copy


def run(*command: str | Path, at: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """What a command says, both streams together, in an environment that knows nothing of this test's."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TIDEGATE_COMPILE")}
    return subprocess.run(
        ["nice", "-n", "10", *map(str, command)],
        cwd=at,
        env={**kept, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def built(source: Path, *options: str, python: Path | str = sys.executable, **settings: str) -> tuple[list[str], str]:
    """Names of the wheels that `pip wheel` made of the source (none: it failed), and all that it said."""
    out = source.parent / "wheels"
    done = run(python, "-m", "pip", "wheel", "--no-deps", *options, "-w", out, ".", at=source, **settings)
    wheels = [path.name for path in out.glob("*.whl")]
    assert (done.returncode == 0) is bool(wheels), done.stdout
    return wheels, done.stdout


def new_venv(folder: Path) -> Path:
    """Its bin folder; it holds pip and nothing else."""
    assert run(sys.executable, "-m", "venv", folder, at=folder.parent).returncode == 0
    return folder / "bin"


def requirements() -> dict[str, str]:
    """What a build needs, as pyproject.toml says: package → version."""
    listed = tomllib.loads((CLONE / "pyproject.toml").read_text())["build-system"]["requires"]
    return dict(line.split("==") for line in listed)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def strangers(paths: list[Path]) -> set[str]:
    """Packages of others that these modules import, or the modules that they import do."""
    waiting, seen, found = list(paths), set[Path](), set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        for name in imported(path):
            if name.partition(".")[0] == "proxy":
                below = CLONE / name.replace(".", "/")
                waiting += [below.with_suffix(".py"), below / "__init__.py"]
            else:
                found.add(name.partition(".")[0])
    return found - sys.stdlib_module_names


def test_a_build_has_the_types_of_all_that_is_compiled() -> None:
    needed = {PACKAGE_OF.get(name, name) for name in strangers(compiled_modules()) - UNTYPED}
    assert "prometheus-client" in needed
    assert needed | {"mypy", "setuptools"} == requirements().keys()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_build_has_the_versions_of_the_locks(lock: str) -> None:
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (CLONE / lock).read_text(), re.MULTILINE))
    assert requirements().items() <= locked.items()


@pytest.fixture
def index(tmp_path: Path) -> None:
    """A package index that answers; without one nobody can build in isolation."""
    wanted = f"setuptools=={requirements()['setuptools']}"
    if run(
        sys.executable, "-m", "pip", "download", "--no-deps", "-d", tmp_path / "index", wanted, at=tmp_path
    ).returncode:
        pytest.skip("no package index answers")


@pytest.fixture
def compiler() -> None:
    if shutil.which("gcc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("there is no C compiler, or Python's headers are missing")


@pytest.mark.slow
@pytest.mark.usefixtures("index", "compiler")
def test_an_installed_wheel_is_compiled(source: Path, tmp_path: Path) -> None:
    builder, user = new_venv(tmp_path / "builder"), new_venv(tmp_path / "user")
    (wheel,), said = built(source, python=builder / "python")
    assert not wheel.endswith("none-any.whl"), said
    installed = run(user / "python", "-m", "pip", "install", tmp_path / "wheels" / wheel, at=tmp_path)
    assert installed.returncode == 0, installed.stdout
    assert run(user / "tidegate", "--version", at=tmp_path).stdout.endswith(" (compiled)\n")
    checked = run(user / "tidegate", "check", CLONE / "config/routing.yaml", at=tmp_path)
    assert checked.returncode == 0, checked.stdout
    question = "import proxy.live.exchange as m, proxy.obs.metrics as n; print(m.__file__, n.__file__)"
    files = run(user / "python", "-c", question, at=tmp_path).stdout.split()
    assert [Path(file).suffix for file in files] == [".so", ".so"]


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_types_that_do_not_fit_are_seen(source: Path) -> None:
    module = source / "proxy/model/outcome.py"
    module.write_text(module.read_text() + '\n\nSERVED_AT: int = "yesterday"\n')
    wheels, said = built(source, "--no-build-isolation", "-qq")  # as deploy/bootstrap.sh calls it
    assert wheels == []
    assert "proxy/model/outcome.py" in said
    assert "tidegate: not compiled: its types do not fit" in said
    assert "TIDEGATE_COMPILE=no" in said


def test_without_a_compiler_it_is_pure_python_and_says_so(source: Path, tmp_path: Path) -> None:
    wheels, said = built(source, "--no-build-isolation", CC="/nonexistent/cc")
    assert wheels == ["tidegate-0.1.0-py3-none-any.whl"], said
    folder = tmp_path / "installed"
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--target",
        folder,
        tmp_path / "wheels" / wheels[0],
        at=tmp_path,
    )
    asked = "from proxy.cli.main import main; raise SystemExit(main(['--version']))"
    version = run(sys.executable, "-c", asked, at=tmp_path, PYTHONPATH=str(folder)).stdout
    assert "pure Python" in version
    assert "1.8 times the CPU" in version
    static = "proxy/live/page/static"
    assert {path.name for path in (folder / static).iterdir()} == {path.name for path in (CLONE / static).iterdir()}


@pytest.mark.parametrize(
    ("wish", "reason"), [("yes", "apt-get install gcc python3-dev"), ("perhaps", "TIDEGATE_COMPILE is auto, yes or no")]
)
def test_what_cannot_be_done_fails_with_what_to_do(source: Path, wish: str, reason: str) -> None:
    wheels, said = built(source, "--no-build-isolation", CC="/nonexistent/cc", TIDEGATE_COMPILE=wish)
    assert wheels == []
    assert reason in said
