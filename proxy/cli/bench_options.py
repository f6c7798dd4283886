"""The arguments of `tidegate bench`, and what they mean together.

Imports nothing of the product until a word is read.
"""

import argparse
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.cli import values
from proxy.cli.admin_key import admin_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.bench.options import Options
    from proxy.bench.run_file import Arrivals, CacheState

KEYS: Final = {"url": "TIDEGATE_API_KEY", "direct": "TIDEGATE_DIRECT_API_KEY"}
"""Keys of targets: never on the command line, which every process of the machine can read."""
_SECRET: Final = re.compile(r"(?i)^((?:--header=)?[a-z0-9-]*(?:auth|key|token|cookie|secret)[a-z0-9-]*)\s*:.*$")
_DRAIN_S: Final = 300.0


class UsageError(Exception):
    """Words that do not go together; the message says which."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_what(parser)
    _add_how(parser)
    _add_labels(parser)


def _add_what(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is measured")
    group.add_argument("--url", metavar="URL", type=values.http_url, help="any OpenAI-compatible server, or the proxy")
    group.add_argument(
        "--direct",
        metavar="URL",
        type=values.http_url,
        help="a second target, measured in pairs: each request goes to both in turns, and differences get intervals",
    )
    group.add_argument(
        "--workload",
        metavar="NAME|FILE",
        nargs="+",
        default=["short-chat"],
        help="short-chat (default), long-form, bulk, multi-turn, agent, rag [module:function], structured, tools,"
        " embeddings, trace FILE, or a file *.jsonl with prompts",
    )
    group.add_argument("--model", metavar="NAME", default="", help="to ask for (default: the first of its list)")
    group.add_argument(
        "--sweep",
        metavar="OPTION=A,B",
        action="append",
        default=[],
        help="one run of cells for each value, may be repeated: model, backend or precision, or an option of the"
        " proxy's file, such as window.max_wait=0,5,10 (ms); the file is changed, read anew, and put back at the end",
    )
    group.add_argument(
        "--cache",
        choices=("as-found", "warm", "cold", "both"),
        default="as-found",
        help="cold: prompts that no cache has seen; warm: every prompt once before; both: two runs, in DIR/cold, warm",
    )


def _add_how(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how much load")
    group.add_argument("--concurrency", metavar="N,N", type=values.counts, default=(), help="closed loop: clients")
    group.add_argument("--rate", metavar="R,R", type=values.rates, default=(), help="open loop: requests per second")
    group.add_argument(
        "--cv", metavar="F", type=float, default=1.0, help="of the pauses of --rate: 1 is Poisson, 3 comes in bursts"
    )
    group.add_argument(
        "--speed", metavar="F,F", type=values.rates, default=(), help="of a trace: so many times as fast as recorded"
    )
    group.add_argument("--requests", metavar="N", type=values.tokens, help="in each cell, to each target")
    group.add_argument("--duration", metavar="TIME", type=values.duration, help="of each cell, instead, such as 60s")
    group.add_argument(
        "--seed", metavar="S,S", type=values.seeds, default=(0,), help="the same seed, the same requests (default: 0)"
    )
    group.add_argument(
        "--warmup",
        metavar="N",
        type=int,
        help="requests before each cell that are not counted (default: one per client)",
    )
    group.add_argument(
        "--cancel", metavar="SHARE", type=values.share, default=0.0, help="of the clients leave early, such as 10%%"
    )
    group.add_argument(
        "--timeout", metavar="TIME", type=values.duration, default=_DRAIN_S, help="of one request (default: 5m)"
    )
    group.add_argument(
        "--ignore-eos", action="store_true", help="answers exactly as long as asked for, where the engine knows it"
    )
    group.add_argument("--aa", metavar="N", type=int, help="pairs of the A/A check of --direct; 0: none")


def _add_labels(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is written")
    group.add_argument("--out", metavar="DIR", type=Path, help="of the run (default: bench-DATE-TIME)")
    group.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    group.add_argument("--server", metavar="NAME", default="", help="of --url in rows (default: as it says)")
    group.add_argument("--direct-server", metavar="NAME", default="", help="of --direct in rows")
    group.add_argument(
        "--hardware", metavar="TEXT", default="", help="in rows (default: as engines or the machine say)"
    )
    group.add_argument("--precision", metavar="NAME", default="", help="in rows (default: as engines say)")
    group.add_argument("--keep-text", action="store_true", help="write answers into details.jsonl, to be compared")
    group.add_argument(
        "--tokenizer",
        metavar="NAME|FILE",
        default="",
        help="counts tokens where a server does not: a tokenizer.json",
    )
    group.add_argument(
        "--admin", metavar="URL", type=values.http_url, help="admin port of the proxy (default: 127.0.0.1:9090)"
    )
    group.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        type=values.header,
        action="append",
        default=[],
        help="of each request; may be repeated",
    )
    group.add_argument("--no-probe", dest="probe", action="store_false", help="ask for no short answer first")
    group.add_argument(
        "--no-stages",
        dest="stages",
        action="store_false",
        help="do not ask the proxy where each stream's time went, when it is over",
    )
    group.add_argument("--insecure", action="store_true", help="whoever has the certificate")


def options_of(arguments: argparse.Namespace, argv: list[str]) -> "Options":
    """What was asked for. Raises UsageError, SweepError."""
    from proxy.bench.options import Options
    from proxy.bench.sweep import axis_of

    if arguments.url is None:
        raise UsageError("--url says what is measured, such as --url http://127.0.0.1:8080")
    _check(arguments)
    now = datetime.now(UTC)
    return Options(
        argv=tuple(_masked(argv)),
        urls={"url": arguments.url} | ({"direct": arguments.direct} if arguments.direct else {}),
        workload=tuple(arguments.workload),
        loads=_loads(arguments),
        out=arguments.out or Path(f"bench-{now:%Y%m%d-%H%M%S}"),
        seeds=arguments.seed,
        requests=arguments.requests,
        duration_s=arguments.duration,
        warmup=arguments.warmup,
        cancel=arguments.cancel,
        timeout_s=arguments.timeout,
        caches=_caches(arguments.cache),
        axes=tuple(axis_of(text) for text in arguments.sweep),
        model=arguments.model,
        admin=arguments.admin,
        admin_headers=admin_key(None),
        headers={side: target_headers(side, arguments.header) for side in ("url", "direct")},
        insecure=arguments.insecure,
        names={"url": arguments.server, "direct": arguments.direct_server},
        hardware=arguments.hardware,
        precision=arguments.precision,
        ignores_end=arguments.ignore_eos,
        keeps_text=arguments.keep_text,
        asks_stages=arguments.stages,
        tokenizer=arguments.tokenizer,
        probe=arguments.probe,
        aa=arguments.aa,
        resume=arguments.resume,
    )


def _check(arguments: argparse.Namespace) -> None:
    is_trace = arguments.workload[0] == "trace"
    if arguments.requests is not None and arguments.duration is not None:
        raise UsageError("either --requests or --duration")
    if arguments.requests is None and arguments.duration is None and not is_trace:
        raise UsageError("--requests N or --duration TIME says how long a cell lasts")
    if not (arguments.concurrency or arguments.rate or is_trace):
        raise UsageError("--concurrency (closed loop) or --rate (open loop) says how much load")
    if arguments.speed and not is_trace:
        raise UsageError("--speed is of a trace")
    if arguments.cv <= 0 or arguments.cv > 50:
        raise UsageError("--cv must be above 0 and at most 50")
    if arguments.cache in ("warm", "both") and arguments.requests is None and not is_trace:
        raise UsageError("warm caches hold prompts that are known before: --requests N instead of --duration")
    if arguments.resume and arguments.out is None:
        raise UsageError("--resume goes on with the run in --out DIR")
    if min(arguments.warmup or 0, arguments.aa or 0) < 0:
        raise UsageError("--warmup and --aa are numbers of requests")


def _caches(word: str) -> "tuple[CacheState, ...]":
    if word == "both":
        return "cold", "warm"
    return ("warm",) if word == "warm" else ("cold",) if word == "cold" else ("as found",)


def _loads(arguments: argparse.Namespace) -> "tuple[Arrivals, ...]":
    from proxy.bench.run_file import Arrivals

    loads = [Arrivals(process="closed", concurrency=clients) for clients in arguments.concurrency]
    for rate in arguments.rate:
        if arguments.cv == 1.0:
            loads.append(Arrivals(process="poisson", rate_per_s=rate))
        else:
            loads.append(Arrivals(process="gamma", rate_per_s=rate, cv=arguments.cv))
    if arguments.workload[0] == "trace" and not (arguments.concurrency or arguments.rate):
        loads += [Arrivals(process="trace", speed=speed) for speed in arguments.speed or (1.0,)]
    return tuple(loads)


def _masked(argv: list[str]) -> list[str]:
    """Without what headers say that may be secret: it goes into run.json."""
    return [_SECRET.sub(r"\1: …", word) for word in argv]


def target_headers(side: str, given: "Iterable[tuple[str, str]]" = ()) -> dict[str, str]:
    """Of each request to `url` or `direct`: those given, and its key, where the environment says one."""
    headers = dict(given)
    key = os.environ.get(KEYS[side], "")
    if key and key.isascii() and key.isprintable():
        headers["authorization"] = f"Bearer {key}"
    return headers
