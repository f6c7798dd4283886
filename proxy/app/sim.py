"""`tidegate sim`: one simulated backend in a process of its own."""

import argparse
import asyncio
import dataclasses
import signal
import sys

import uvloop

from proxy.sim.engine.arrays import PRESETS as ARRAYS
from proxy.sim.engine.spec import PRESETS, EngineKind
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tidegate sim`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="port to listen on; 0, the default, takes a free one")
    parser.add_argument("--name", default="sim", help="part of the ids it makes (default: %(default)s)")
    parser.add_argument(
        "--model", action="append", dest="models", metavar="NAME", help="a model it serves; may be repeated"
    )
    parser.add_argument(
        "--kind",
        choices=[kind.value for kind in EngineKind],
        default=EngineKind.CONTINUOUS.value,
        help="how it batches (default: %(default)s)",
    )
    parser.add_argument(
        "--preset", choices=list(PRESETS), default="low_latency", help="its speed and size (default: %(default)s)"
    )
    parser.add_argument(
        "--arrays", choices=list(ARRAYS), help="what calls for embeddings, scores and rankings cost, and their cap"
    )
    parser.add_argument("--seed", type=int, default=0, help="changes what it says (default: %(default)s)")
    parser.add_argument("--speed", type=_speed, default=1.0, help="its clock runs so many times faster than ours")
    parser.add_argument("--api-key", metavar="KEY", help="refuse requests under /v1 without this bearer token")
    parser.add_argument("--max-model-len", type=_count, metavar="TOKENS", help="longest prompt and answer together")
    parser.add_argument("--max-num-seqs", type=_count, metavar="N", help="seats in the batch")
    parser.add_argument("--max-num-queued-reqs", type=_count, metavar="N", help="refuse more requests than this (503)")


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; 1 when the settings do not fit together or the address is taken."""
    try:
        settings = _settings(options)
    except ValueError as error:
        print(f"tidegate sim: {error}", file=sys.stderr)
        return 1
    return uvloop.run(serve(settings))


def _settings(options: argparse.Namespace) -> SimSettings:
    spec = PRESETS[options.preset].as_kind(EngineKind(options.kind))
    changes = {
        "max_model_len": options.max_model_len,
        "max_num_seqs": options.max_num_seqs,
        "max_queued": options.max_num_queued_reqs,
    }
    spec = dataclasses.replace(spec, **{name: value for name, value in changes.items() if value is not None})
    return SimSettings(
        name=options.name,
        models=tuple(options.models or ["sim"]),
        spec=spec,
        arrays=ARRAYS.get(options.arrays),
        seed=options.seed,
        speed=options.speed,
        host=options.host,
        port=options.port,
        api_key=options.api_key,
    )


async def serve(settings: SimSettings) -> int:
    """Until SIGTERM or Ctrl-C; 1 when the address is taken."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = SimServer(settings)
    try:
        await server.start()
    except OSError as error:
        print(f"tidegate sim: cannot listen on {settings.host}:{settings.port}: {error}", file=sys.stderr)
        await server.stop()
        return 1
    print(f"tidegate sim {settings.name} ready at {server.url}", flush=True)
    await stop.wait()
    await server.stop()
    return 0


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _speed(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1e6:
        raise argparse.ArgumentTypeError("must be above 0")
    return number
