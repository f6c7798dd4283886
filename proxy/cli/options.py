"""The arguments and options of each subcommand, and their help.

Imports nothing of the product until those of a command are asked for, so that help and `--version` stay fast.
"""

import argparse
from pathlib import Path
from typing import Final

from proxy.cli import values

DEFAULT_FILE: Final = "routing.yaml"
SHELLS: Final = ("bash", "zsh", "fish")


def serve(parser: argparse.ArgumentParser) -> None:
    parser.usage = "tidegate serve FILE [options]\n       tidegate serve URL [URL ...] [options]"
    parser.add_argument(
        "targets", metavar="FILE", nargs="*", help="configuration, YAML, - for standard input; or the URLs of engines"
    )
    _add_listeners(parser)
    parser.add_argument("--auth", metavar="MODE", type=values.auth, help="who may come in: off, none or keys")
    parser.add_argument("--workers", metavar="N", type=values.workers, help="processes: a number, or auto")
    parser.add_argument("--log-level", metavar="LEVEL", type=values.log_level, help="debug, info, warning or error")
    parser.add_argument("--log-format", metavar="FORMAT", type=values.log_format, help="text or json")


def demo(parser: argparse.ArgumentParser) -> None:
    from proxy.app.demo.scenes import SCENES

    _add_listeners(parser)
    parser.add_argument(
        "--scene",
        choices=tuple(SCENES),
        action="append",
        default=[],
        help="only this one; may be repeated (default: all, then normal traffic until Ctrl-C)",
    )
    parser.add_argument(
        "--load", metavar="F", type=values.factor, default=1.0, help="times the usual traffic (default: 1)"
    )
    parser.add_argument(
        "--for",
        metavar="DURATION",
        dest="duration",
        type=values.duration,
        help="how long each scene lasts, such as 30s; the last one then ends the demo",
    )
    parser.add_argument("--json", action="store_true", help="only the result, for programs")


def sim(parser: argparse.ArgumentParser) -> None:
    from proxy.app.sim import add_arguments

    add_arguments(parser)


def simulate(parser: argparse.ArgumentParser) -> None:
    from proxy.app.simulate import add_arguments

    add_arguments(parser)


def bench(parser: argparse.ArgumentParser) -> None:
    from proxy.cli import bench_compare, bench_quality
    from proxy.cli.bench_options import add_arguments

    add_arguments(parser)
    below = parser.add_subparsers(dest="action", metavar="ACTION", title="what to do with what was measured")
    for name, module, summary in (
        ("compare", bench_compare, "say what changed from one run to another, and whether it is more than noise"),
        ("quality", bench_quality, "hold the answers of a model against those of a reference, with what each took"),
    ):
        module.add_arguments(below.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."))


def check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="configuration, YAML; - for standard input")
    parser.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="text for people (default), json for programs, github for annotations of a pull request",
    )
    parser.add_argument("--json", action="store_const", dest="format", const="json", help="the same as --format json")
    parser.add_argument("--strict", action="store_true", help="warnings fail too")
    parser.add_argument(
        "--resolved", action="store_true", help="print the effective file: defaults filled in, secrets masked"
    )
    parser.add_argument("--live", action="store_true", help="ask the engines, too, as doctor does; not with --resolved")
    parser.add_argument(
        "--no-env",
        action="store_true",
        help="for a machine without the secrets, such as CI: variables and files that are not here are only noted",
    )


def doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="configuration, YAML; - for standard input")
    parser.add_argument(
        "--try",
        dest="tries",
        action="store_true",
        help="ask each engine twice for one token, too; those that sleep, or have no model in memory, are left alone",
    )
    parser.add_argument(
        "--public",
        metavar="URL",
        type=values.http_url,
        help="by which clients come: sends itself streams through what stands there, and says what becomes of them",
    )
    parser.add_argument(
        "--silence",
        metavar="TIME",
        type=values.silence,
        help="of a stream through --public, such as 70s, which many cut after 60s (default: 3s; takes as much longer)",
    )
    parser.add_argument(
        "--model", metavar="NAME", default="", help="what a running proxy is asked for (default: the first of its list)"
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=values.address,
        help="answer here while the proxy runs: the address that a second server in front, like the first, passes to",
    )
    parser.add_argument("--insecure", action="store_true", help="whoever has the certificate of --public")
    parser.add_argument("--json", action="store_true", help="for programs")


def diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD", help="configuration, YAML; - for standard input")
    parser.add_argument("new", metavar="NEW", help="another one")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--no-env",
        action="store_true",
        help="for a machine without the secrets, such as CI: those that are not here compare as none",
    )


def reload(parser: argparse.ArgumentParser) -> None:
    _add_admin(parser)
    parser.add_argument(
        "--confirm",
        metavar="TIME",
        type=values.trial,
        help="on trial, such as 60s: rolled back after it, and at once when errors or late first tokens grow",
    )
    parser.add_argument("--confirmed", action="store_true", help="keep what is on trial")
    parser.add_argument("--rollback", action="store_true", help="put in place what was there before")
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="configuration of the running proxy, YAML; - for standard input")
    parser.add_argument("request", metavar="REQUEST", help="body of the request, JSON; - for standard input")
    parser.add_argument("--admin", metavar="URL", type=values.http_url, help="its admin port (default: as in FILE)")
    parser.add_argument("--tenant", metavar="NAME", type=values.tenant, help="as if it came from this tenant")
    parser.add_argument("--path", metavar="PATH", default="/v1/chat/completions", help="default: /v1/chat/completions")
    parser.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        type=values.header,
        action="append",
        default=[],
        help="of the request, such as 'x-tidegate-class: bulk'; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def prefix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="report", choices=("report",), help="prompts that change at their front")
    _add_file_or_admin(parser)
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def backends(parser: argparse.ArgumentParser) -> None:
    _add_file_or_admin(parser)
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("new",), help="a new API key, and what stands in the configuration for it")
    parser.add_argument(
        "--tenant", metavar="NAME", type=values.tenant, help="whose it is: prints a whole entry of tenants"
    )
    parser.add_argument("--id", metavar="NAME", type=values.tenant, help="what people call the key")
    parser.add_argument(
        "--expires", metavar="DATE", type=values.moment, help="from then on it is refused, such as 2027-01-01"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default=DEFAULT_FILE, help="what to write (default: %(default)s); - prints"
    )
    parser.add_argument("--stdout", action="store_true", help="print it, write no file")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")


def schema(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def health(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        type=values.http_url,
        default=values.DEFAULT_READY_URL,
        help=f"what to ask (default: {values.DEFAULT_READY_URL})",
    )
    parser.add_argument("--json", action="store_true", help="the answer for programs")


def completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"one of {', '.join(SHELLS)}")


def help_(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="COMMAND", nargs="?", help="what to say more about (default: everything)")


def status(parser: argparse.ArgumentParser) -> None:
    _add_admin(parser)
    parser.add_argument("--json", action="store_true", help="the document itself, for programs")


def top(parser: argparse.ArgumentParser) -> None:
    _add_admin(parser)
    about = "between two pictures, such as 5s (default: 1s)"
    parser.add_argument("--interval", metavar="TIME", type=values.duration, default=1.0, help=about)
    parser.add_argument("--once", action="store_true", help="one picture, in lines, and the end")


def slo(parser: argparse.ArgumentParser) -> None:
    from proxy.cli.slo import add_arguments

    add_arguments(parser)
    admin = "status: the admin port of the proxy (default: as in FILE)"
    parser.add_argument("--admin", "--url", metavar="URL", type=values.http_url, help=admin)


def cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("stats", "bump"), help="stats: what is kept; bump: make it void, at once")
    parser.add_argument("--model", metavar="NAME", help="bump: only answers of this model")
    parser.add_argument("--prompt", metavar="NAME", help="bump: only answers to this prompt, or to NAME@VERSION")
    _add_admin(parser)
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def batch(parser: argparse.ArgumentParser) -> None:
    about = "submit FILE, list, show BATCH or cancel BATCH"
    parser.add_argument("action", choices=("submit", "list", "show", "cancel"), help=about)
    parser.add_argument(
        "what", metavar="FILE|BATCH", nargs="?", help="a file of requests (JSONL), or the id of a batch"
    )
    parser.add_argument(
        "--wait", action="store_true", help="until it has ended; submit: then write its output beside FILE"
    )
    parser.add_argument("--out", metavar="FILE", help="where the output goes (default: FILE.output.jsonl)")
    parser.add_argument(
        "--endpoint", metavar="PATH", help="submit: what the lines ask (default: as the first one says)"
    )
    parser.add_argument(
        "--window", metavar="TIME", default="24h", help="submit: by when it has to be done (default: 24h)"
    )
    parser.add_argument("--limit", metavar="N", type=values.tokens, default=20, help="list: so many (default: 20)")
    port = "where clients reach the proxy (default: %(default)s)"
    parser.add_argument("--url", metavar="URL", type=values.http_url, default=values.DEFAULT_DATA_URL, help=port)
    parser.add_argument("--json", action="store_true", help="the objects themselves, for programs")


def report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", type=Path, help="folder that bench wrote (--out), or a CSV with its columns"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the report goes (default: RUN/report)")
    parser.add_argument(
        "--slo",
        metavar="SLO",
        type=values.promise,
        default="",
        help="what a good request keeps, such as ttft=500ms,tpot=50ms,e2e=10s (default: an answer)",
    )
    parser.add_argument("--mixed", action="store_true", help="runs of different machines in one report, marked as such")
    parser.add_argument("--title", metavar="TEXT", default="Benchmark", help="of the report (default: Benchmark)")


def _add_listeners(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", metavar="ADDRESS", type=values.address, help="where clients connect, host:port")
    parser.add_argument(
        "--admin", metavar="ADDRESS", type=values.address, help="where /readyz and /metrics are, host:port"
    )


def _add_admin(parser: argparse.ArgumentParser) -> None:
    port = "its admin port (default: %(default)s)"
    parser.add_argument("--admin", metavar="URL", type=values.http_url, default=values.DEFAULT_ADMIN_URL, help=port)


def _add_file_or_admin(parser: argparse.ArgumentParser) -> None:
    """See `inquiry`."""
    about = "configuration of the proxy (default: %(default)s)"
    parser.add_argument("file", metavar="FILE", nargs="?", default=DEFAULT_FILE, help=about)
    parser.add_argument("--admin", metavar="URL", type=values.http_url, help="its admin port (default: as in FILE)")
