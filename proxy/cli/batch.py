"""`tidegate batch`: a file of requests given to a running proxy, watched, listed, cancelled and read back."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from proxy.cli.asking import SilentError
from proxy.cli.batch_client import VARIABLE, BatchClient, RefusedError

_ENDED: Final = ("completed", "failed", "expired", "cancelled")
_POLL_S: Final = 1.0
_SHOWN_ERRORS: Final = 10
_HEADER: Final = ("batch", "state", "endpoint", "lines", "done", "failed", "age")


def run(arguments: argparse.Namespace) -> int:
    """0 when it was done, 1 with the reason when it was not; of a batch that is waited for, 0 when no line failed."""
    if (arguments.what is None) != (arguments.action == "list"):
        return _refused("submit needs a FILE, show and cancel a BATCH, list neither", 2)
    client = BatchClient(arguments.url)
    try:
        return _done(arguments, client)
    except SilentError as silent:
        return _refused(f"no proxy answers at {arguments.url}: {silent}")
    except RefusedError as refused:
        return _refused(f"{refused} ({VARIABLE} says the key)" if "API key" in str(refused) else str(refused))
    except OSError as error:
        return _refused(f"{error.filename or arguments.what}: {error.strerror}")


def _done(arguments: argparse.Namespace, client: BatchClient) -> int:
    if arguments.action == "list":
        return _listed(arguments, client)
    if arguments.action == "submit":
        path = Path(arguments.what)
        endpoint = arguments.endpoint or _endpoint_of(path)
        batch = client.create(client.upload(path)["id"], endpoint, arguments.window)
    else:
        batch = (client.cancel if arguments.action == "cancel" else client.show)(arguments.what)
    if arguments.wait:
        return _waited(arguments, client, batch)
    _print(arguments, batch)
    return 0


def _endpoint_of(path: Path) -> str:
    """That of the first line: all of them have one."""
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                try:
                    return str(json.loads(line)["url"])
                except (ValueError, KeyError, TypeError):
                    break
    raise RefusedError(f"{path}: its first line is no request of a batch; --endpoint says what it asks")


def _listed(arguments: argparse.Namespace, client: BatchClient) -> int:
    told = client.list(arguments.limit)
    if arguments.json:
        print(json.dumps(told, indent=2))
        return 0
    from proxy.report.tables import table

    if not told["data"]:
        print("no batches")
        return 0
    print(table(_HEADER, [_row(one) for one in told["data"]], width=120, left=3).rstrip("\n"))
    return 0


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    from proxy.model.units import format_duration

    counts = one["request_counts"]
    age = format_duration(max(0, int(time.time() - one["created_at"])))
    numbers = (str(counts[name]) for name in ("total", "completed", "failed"))
    return one["id"], one["status"], one["endpoint"], *numbers, age


def _print(arguments: argparse.Namespace, batch: dict[str, Any]) -> None:
    if arguments.json:
        print(json.dumps(batch, indent=2))
        return
    counts = batch["request_counts"]
    print(f"{batch['id']}: {batch['status']}")
    print(f"  {counts['completed']} of {counts['total']} done, {counts['failed']} failed{_eta(batch)}")
    for name in ("input_file_id", "output_file_id", "error_file_id"):
        if batch.get(name):
            print(f"  {name}: {batch[name]}")
    errors = (batch.get("errors") or {}).get("data") or []
    for error in errors[:_SHOWN_ERRORS]:
        where = "" if error["line"] is None else f"line {error['line']}: "
        print(f"  {where}{error['message']} ({error['code']})")
    if len(errors) > _SHOWN_ERRORS:
        print(f"  and {len(errors) - _SHOWN_ERRORS} more")


def _eta(batch: dict[str, Any]) -> str:
    from proxy.model.units import format_duration

    return f", about {format_duration(batch['eta_s'])} left" if batch.get("eta_s") else ""


def _waited(arguments: argparse.Namespace, client: BatchClient, batch: dict[str, Any]) -> int:
    batch = _followed(client, batch) if sys.stderr.isatty() else _polled(client, batch)
    _print(arguments, batch)
    if arguments.action != "submit":
        return _code(batch)
    source = Path(arguments.what)
    for name, ending in (("output_file_id", "output"), ("error_file_id", "errors")):
        if batch.get(name):
            to = source.with_name(f"{source.stem}.{ending}.jsonl")
            if ending == "output" and arguments.out is not None:
                to = Path(arguments.out)
            client.download(batch[name], to)
            print(f"written: {to}", file=sys.stderr)
    return _code(batch)


def _code(batch: dict[str, Any]) -> int:
    return 0 if batch["status"] == "completed" and not batch["request_counts"]["failed"] else 1


def _polled(client: BatchClient, batch: dict[str, Any]) -> dict[str, Any]:
    while batch["status"] not in _ENDED:
        time.sleep(_POLL_S)
        batch = client.show(batch["id"])
    return batch


def _followed(client: BatchClient, batch: dict[str, Any]) -> dict[str, Any]:
    """The same for people at a terminal. Ctrl-C stops the looking, not the batch."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[more]}"), console=Console(stderr=True)) as progress:
        task = progress.add_task(batch["status"], total=None, more="")
        while batch["status"] not in _ENDED:
            time.sleep(_POLL_S)
            batch = client.show(batch["id"])
            counts = batch["request_counts"]
            failed = f", {counts['failed']} failed" if counts["failed"] else ""
            done, total = counts["completed"] + counts["failed"], counts["total"] or None
            more = (_eta(batch) + failed).removeprefix(", ")
            progress.update(task, description=batch["status"], completed=done, total=total, more=more)
    return batch


def _refused(why: str, code: int = 1) -> int:
    print(f"tidegate batch: {why}", file=sys.stderr)
    return code
