"""`tidegate init`: a commented configuration file for the engines that answer on this machine."""

import argparse
import sys
from pathlib import Path

from proxy.cli.options import DEFAULT_FILE
from proxy.config.source import STDIN
from proxy.config.starter import Machine, starter


def run(arguments: argparse.Namespace) -> int:
    """0 when the file is written or printed, whether engines were found or not; else 1 with the reason."""
    prints = arguments.stdout or arguments.file == STDIN
    path = Path(arguments.file)
    if not prints and not arguments.force and path.exists():
        return _refused(path, "is there already; --force overwrites it, --stdout prints instead")
    from proxy.app.discovery import look_around

    machine = look_around()
    if prints:
        sys.stdout.write(starter(machine, DEFAULT_FILE))
        print("\n".join(_told(machine)), file=sys.stderr)
        return 0
    try:
        with path.open("w" if arguments.force else "x", encoding="utf-8") as file:
            file.write(starter(machine, str(path)))
    except (OSError, ValueError) as error:
        return _refused(path, f"cannot be written: {_reason(error)}")
    print("\n".join((f"wrote {path}", *_told(machine), f"next: tidegate serve {path}")))
    return 0


def _told(machine: Machine) -> list[str]:
    told = [f"  {engine.url}   {engine.about}" for engine in machine.engines]
    told += [f"  {url}   a Tidegate itself: not listed" for url in machine.proxies]
    told += [f"  {url}   did not answer as an engine: not listed" for url in machine.strangers]
    if not machine.engines:
        told.append(f"  no engine answered at {machine.asked}: put the URL of yours into the file")
    return told


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is not a path"


def _refused(path: Path, why: str) -> int:
    print(f"tidegate init: {path} {why}", file=sys.stderr)
    return 1
