"""Compiles the hot path with mypyc: the modules below run once or more per request, per chunk or per simulated step.

Everything works without it, at about 1.8 times the CPU (decision 6). `TIDEGATE_COMPILE` says what to do: `auto` (the
default) compiles where a C compiler and Python's headers are there, `yes` fails without them, `no` leaves the source to
the interpreter. What fails where they are there fails the installation: installers show what a build prints only then.
`tidegate --version` tells which it became.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, CompileError

_WHOLE = ("core", "engines", "live", "model", "wire")
"""Packages of which every module is compiled, new ones too, but for these."""
_LEFT_OUT = {
    "is read once, at the start": "*/__init__",
    "is plain settings: their types are read as marked, for the options that are made of them": "model/auth"
    " model/bounds model/cache model/classes model/fallback model/hedge model/kv_cache model/limits model/metrics"
    " model/parameters model/prompts model/realtime model/rules model/scheduling model/slos model/store"
    " model/structured model/tenants model/timings model/units model/windows",
    "its dataclasses become JSON by orjson, which reads the insides of interpreted ones only": "core/shown/explanation",
    "runs at the start, per probe or once a second, and waits most of that time": "live/admin live/guard"
    " live/catalogue"
    " live/rest live/shared_owners live/page/assets live/page/console live/page/feed live/page/playground"
    " live/background/address_space live/background/cards live/background/memory live/background/prober"
    " live/background/model_cards live/background/own_list live/background/questions"
    " live/background/scraper live/background/warmer live/scrapes live/cache/remote live/checker"
    " live/tiktoken_files live/tokenizers live/upstream/tls",
    "runs once per list that somebody asks for, or per tunnel that is opened": "live/ollama_lists live/realtime",
    "waits for a disk most of its time": "live/batches/api live/batches/batches live/batches/closing"
    " live/batches/database live/batches/files live/batches/form live/batches/store live/batches/validation"
    " live/lines/feeder live/lines/keeper",
    "runs in a process of its own": "live/check_worker wire/schema_check",
    "runs for large and packed bodies only, whose cost is that of parsing them": "live/downstream/bodies wire/weight",
}
"""Why some are left to the interpreter: reason → names."""
_ALSO = {
    "obs": "access_log batches csv_log exposition families genai genai_metrics goodput labels metrics percentiles"
    " prefix_digests rates recent record request_metrics stage_metrics usage_metrics",
    "obs/slo": "book buckets burn events",
    "report": "run stats",
    "sim/engine": "course decoding engine kv_pool plan sequence spec static",
    "sim/world": "jobs modelled_backend oracle placement references world",
    "workload": "arrival",
}
"""Of other packages: what runs per request, or per step of a simulation."""
_WISH = os.environ.get("TIDEGATE_COMPILE", "auto")
_ONLY_ASK = {"egg_info", "dist_info", "sdist"}
"""Commands of setuptools that build nothing: an installer runs two of them before it builds."""


def modules() -> Iterator[str]:
    """Paths of all that is compiled."""
    for package in _WHOLE:
        yield from sorted(str(path) for path in Path("proxy", package).rglob("*.py") if not _is_left_out(path))
    for package, names in _ALSO.items():
        yield from (f"proxy/{package}/{name}.py" for name in names.split())


def _is_left_out(path: Path) -> bool:
    name = path.with_suffix("")
    return any(name.match(left) for names in _LEFT_OUT.values() for left in names.split())


class _Build(build_ext):
    """All C files at once, but for those that were compiled before as they are."""

    def build_extensions(self) -> None:
        one_after_another, kept = self.compiler.compile, _Objects(self.compiler)
        self.compiler.compile = self._side_by_side(one_after_another, kept)
        try:
            super().build_extensions()
        except CCompilerError as error:
            _fail(f"the C compiler failed, see above: {error}")
        kept.forget_others()

    def _side_by_side(self, compile_all: Callable[..., list[str]], kept: "_Objects") -> Callable[..., list[str]]:
        def compile_one(source: str, args: tuple[Any, ...], options: dict[str, Any]) -> str:
            made = self.compiler.object_filenames([source], output_dir=options["output_dir"])[0]
            if not kept.give(source, options, made):
                compile_all([source], *args, **options)
                kept.keep(made)
            return made

        def side_by_side(sources: list[str], *args: Any, **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return list(pool.map(lambda source: compile_one(source, args, options), sources))

        return side_by_side


class _Objects:
    """What the last build compiled, by all that it was made of: an installer builds in a folder that it throws away."""

    _FOLDER = Path("build", "objects")

    def __init__(self, compiler: Any) -> None:
        self._FOLDER.mkdir(parents=True, exist_ok=True)
        asks = [*compiler.compiler_so[:1], "--version"]
        said = subprocess.run(asks, capture_output=True, check=False).stdout  # noqa: S603 - the compiler that builds
        self._same = sha256("\0".join([sys.version, version("mypy"), str(compiler.compiler_so)]).encode() + said)
        for header in sorted(Path("build").rglob("*.h")):
            self._same.update(header.read_bytes())
        self._names: dict[str, str] = {}

    def give(self, source: str, options: dict[str, Any], made: str) -> bool:
        """Whether there is one, which now is `made`."""
        if not source.startswith("build"):  # the library that comes with mypyc may be anywhere
            return False
        digest = self._same.copy()
        flags = [str(options.get(name)) for name in ("macros", "extra_preargs", "extra_postargs", "debug")]
        digest.update("\0".join([Path(source).name, *flags]).encode() + Path(source).read_bytes())
        self._names[made] = name = f"{digest.hexdigest()}.o"
        if not (self._FOLDER / name).exists():
            return False
        Path(made).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._FOLDER / name, made)
        return True

    def keep(self, made: str) -> None:
        """For the next build."""
        name = self._names.get(made)
        if name is not None:
            shutil.copyfile(made, self._FOLDER / f"{name}.part")
            (self._FOLDER / f"{name}.part").rename(self._FOLDER / name)

    def forget_others(self) -> None:
        """Those of older source."""
        for path in self._FOLDER.iterdir():
            if self._names and path.name not in self._names.values():  # nothing was asked for where all is up to date
                path.unlink()


def _extensions() -> list[Any]:
    if _WISH not in ("auto", "yes", "no"):
        raise SystemExit(f"tidegate: TIDEGATE_COMPILE is auto, yes or no, not {_WISH}")
    if _WISH == "no" or _ONLY_ASK & set(sys.argv):
        return []
    if not _can_compile():
        if _WISH == "yes":
            _fail("there is no C compiler, or Python's headers are missing; on Debian: apt-get install gcc python3-dev")
        print("tidegate: not compiled: no C compiler, or Python's headers are missing", file=sys.stderr)
        return []
    return _translated()


def _can_compile() -> bool:
    """Whether the machine has what every C extension needs."""
    from distutils.ccompiler import new_compiler  # setuptools brings it
    from distutils.sysconfig import customize_compiler

    compiler = new_compiler()
    customize_compiler(compiler)
    with TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\n")
        try:
            compiler.compile([str(source)], output_dir=folder, include_dirs=[sysconfig.get_path("include")])
        except CompileError:
            return False
    return True


def _translated() -> list[Any]:
    """The modules as C. Types that are missing would change what mypyc makes, so that they are no excuse."""
    lenient = ["--ignore-missing-imports"]  # the types of what only tests or rarer modules use need not be there
    try:
        from mypyc.build import mypycify

        made = mypycify([*lenient, *modules()], opt_level="1", debug_level="0", multi_file=True, group_name="tidegate")
    except ImportError as error:
        _fail(f"{error}; what the build needs stands in pyproject.toml, pip and uv install it unless told otherwise")
    except SystemExit:
        _fail("its types do not fit, see above; one of the build's requirements (pyproject.toml) is missing or too new")
    for extension in made:
        extension.extra_compile_args.append("-Wno-error")  # a newer compiler warns of more, and the code is generated
    return made


def _fail(why: str) -> NoReturn:
    raise SystemExit(f"tidegate: not compiled: {why}. TIDEGATE_COMPILE=no installs it uncompiled (1.8 times the CPU).")


if __name__ == "__main__":  # tests read what is compiled
    setup(ext_modules=_extensions(), cmdclass={"build_ext": _Build})
