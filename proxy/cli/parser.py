"""The grammar of the command line: subcommands, options, help texts.

Imports nothing of the product until an option of it is parsed, so that help and `--version` stay fast.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from proxy.cli import environment
from proxy.cli.grammar import Parser

DEFAULT_FILE = "routing.yaml"
DEFAULT_ADMIN_URL = "http://127.0.0.1:9090"
_LONGEST_TRIAL_S = 3600
_LONGEST_SILENCE_S = 900.0
DEFAULT_READY_URL = f"{DEFAULT_ADMIN_URL}/readyz"
SHELLS = ("bash", "zsh", "fish")


class Command(NamedTuple):
    """One subcommand."""

    summary: str
    epilog: str
    """Example and exit codes."""
    add_arguments: Callable[[argparse.ArgumentParser], None]
    in_environment: bool = False
    """Whether variables may stand for its options."""


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.usage = "tidegate serve FILE [options]\n       tidegate serve URL [URL ...] [options]"
    parser.add_argument(
        "targets", metavar="FILE", nargs="*", help="configuration, YAML, - for standard input; or the URLs of engines"
    )
    _add_listeners(parser)
    parser.add_argument("--auth", metavar="MODE", type=_auth, help="who may come in: off, none or keys")
    parser.add_argument("--log-level", metavar="LEVEL", type=_log_level, help="debug, info, warning or error")
    parser.add_argument("--log-format", metavar="FORMAT", type=_log_format, help="text or json")


def _demo(parser: argparse.ArgumentParser) -> None:
    from proxy.app.demo.scenes import SCENES

    _add_listeners(parser)
    parser.add_argument(
        "--scene",
        choices=tuple(SCENES),
        action="append",
        default=[],
        help="only this one; may be repeated (default: all, then normal traffic until Ctrl-C)",
    )
    parser.add_argument("--load", metavar="F", type=_factor, default=1.0, help="times the usual traffic (default: 1)")
    parser.add_argument(
        "--for",
        metavar="DURATION",
        dest="duration",
        type=_duration,
        help="how long each scene lasts, such as 30s; the last one then ends the demo",
    )
    parser.add_argument("--json", action="store_true", help="only the result, for programs")


def _sim(parser: argparse.ArgumentParser) -> None:
    from proxy.app.sim import add_arguments

    add_arguments(parser)


def _simulate(parser: argparse.ArgumentParser) -> None:
    from proxy.app.simulate import add_arguments

    add_arguments(parser)


def _check(parser: argparse.ArgumentParser) -> None:
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


def _doctor(parser: argparse.ArgumentParser) -> None:
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
        type=_http_url,
        help="by which clients come: sends itself streams through what stands there, and says what becomes of them",
    )
    parser.add_argument(
        "--silence",
        metavar="TIME",
        type=_silence,
        help="of a stream through --public, such as 70s, which many cut after 60s (default: 3s; takes as much longer)",
    )
    parser.add_argument(
        "--model", metavar="NAME", default="", help="what a running proxy is asked for (default: the first of its list)"
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=_address,
        help="answer here while the proxy runs: the address that a second server in front, like the first, passes to",
    )
    parser.add_argument("--insecure", action="store_true", help="whoever has the certificate of --public")
    parser.add_argument("--json", action="store_true", help="for programs")


def _diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD", help="configuration, YAML; - for standard input")
    parser.add_argument("new", metavar="NEW", help="another one")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--no-env",
        action="store_true",
        help="for a machine without the secrets, such as CI: those that are not here compare as none",
    )


def _reload(parser: argparse.ArgumentParser) -> None:
    port = "its admin port (default: %(default)s)"
    parser.add_argument("--admin", metavar="URL", type=_http_url, default=DEFAULT_ADMIN_URL, help=port)
    parser.add_argument(
        "--confirm",
        metavar="TIME",
        type=_trial,
        help="on trial, such as 60s: rolled back after it, and at once when errors or late first tokens grow",
    )
    parser.add_argument("--confirmed", action="store_true", help="keep what is on trial")
    parser.add_argument("--rollback", action="store_true", help="put in place what was there before")
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="configuration of the running proxy, YAML; - for standard input")
    parser.add_argument("request", metavar="REQUEST", help="body of the request, JSON; - for standard input")
    parser.add_argument("--admin", metavar="URL", type=_http_url, help="its admin port (default: as in FILE)")
    parser.add_argument("--tenant", metavar="NAME", type=_tenant, help="as if it came from this tenant")
    parser.add_argument("--path", metavar="PATH", default="/v1/chat/completions", help="default: /v1/chat/completions")
    parser.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        type=_header,
        action="append",
        default=[],
        help="of the request, such as 'x-tidegate-class: bulk'; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def _prefix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="report", choices=("report",), help="prompts that change at their front")
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        default=DEFAULT_FILE,
        help="configuration of the proxy (default: %(default)s)",
    )
    parser.add_argument("--admin", metavar="URL", type=_http_url, help="its admin port (default: as in FILE)")
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def _backends(parser: argparse.ArgumentParser) -> None:
    about = "configuration of the proxy (default: %(default)s)"
    parser.add_argument("file", metavar="FILE", nargs="?", default=DEFAULT_FILE, help=about)
    parser.add_argument("--admin", metavar="URL", type=_http_url, help="its admin port (default: as in FILE)")
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("new",), help="a new API key, and what stands in the configuration for it")
    parser.add_argument("--tenant", metavar="NAME", type=_tenant, help="whose it is: prints a whole entry of tenants")
    parser.add_argument("--id", metavar="NAME", type=_tenant, help="what people call the key")
    parser.add_argument(
        "--expires", metavar="DATE", type=_moment, help="from then on it is refused, such as 2027-01-01"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def _plan(parser: argparse.ArgumentParser) -> None:
    from proxy.config.plain import options_of
    from proxy.model.kv_cache import KvCacheSettings

    for name, field in options_of(KvCacheSettings).model_fields.items():
        about = (field.description or "").replace("`", "").replace("%", "%%")
        default = "" if field.is_required() else f" (default: {field.default})"
        metavar = {"memory": "SIZE", "weights": "SIZE", "dtype": "TYPE", "utilization": "SHARE"}.get(name, "N")
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, metavar=metavar, required=field.is_required(), help=about + default)
    parser.add_argument(
        "--context",
        metavar="TOKENS",
        type=_tokens,
        action="append",
        help="prompt and answer of one request; may be repeated (default: some usual lengths)",
    )
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default=DEFAULT_FILE, help="what to write (default: %(default)s); - prints"
    )
    parser.add_argument("--stdout", action="store_true", help="print it, write no file")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")


def _schema(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def _health(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        type=_http_url,
        default=DEFAULT_READY_URL,
        help=f"what to ask (default: {DEFAULT_READY_URL})",
    )
    parser.add_argument("--json", action="store_true", help="the answer for programs")


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"one of {', '.join(SHELLS)}")


def _help(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="COMMAND", nargs="?", help="what to say more about (default: everything)")


def _status(parser: argparse.ArgumentParser) -> None:
    port = "its admin port (default: %(default)s)"
    parser.add_argument("--admin", metavar="URL", type=_http_url, default=DEFAULT_ADMIN_URL, help=port)
    parser.add_argument("--json", action="store_true", help="the document itself, for programs")


def _top(parser: argparse.ArgumentParser) -> None:
    port = "its admin port (default: %(default)s)"
    parser.add_argument("--admin", metavar="URL", type=_http_url, default=DEFAULT_ADMIN_URL, help=port)
    about = "between two pictures, such as 5s (default: 1s)"
    parser.add_argument("--interval", metavar="TIME", type=_duration, default=1.0, help=about)
    parser.add_argument("--once", action="store_true", help="one picture, in lines, and the end")


def _slo(parser: argparse.ArgumentParser) -> None:
    from proxy.cli.slo import add_arguments

    add_arguments(parser)
    admin = "status: the admin port of the proxy (default: as in FILE)"
    parser.add_argument("--admin", "--url", metavar="URL", type=_http_url, help=admin)


def _cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("stats", "bump"), help="stats: what is kept; bump: make it void, at once")
    parser.add_argument("--model", metavar="NAME", help="bump: only answers of this model")
    parser.add_argument("--prompt", metavar="NAME", help="bump: only answers to this prompt, or to NAME@VERSION")
    port = "its admin port (default: %(default)s)"
    parser.add_argument("--admin", metavar="URL", type=_http_url, default=DEFAULT_ADMIN_URL, help=port)
    parser.add_argument("--json", action="store_true", help="everything, for programs")


COMMANDS = {
    "serve": Command(
        "run the proxy, with a configuration file or in front of the engines named",
        "example:\n  tidegate serve routing.yaml --listen 0.0.0.0:8080 --log-format json\n"
        "  tidegate serve http://127.0.0.1:8001 http://127.0.0.1:8002\n\n"
        "exit codes:\n  0  drained after SIGTERM or Ctrl-C\n"
        "  1  the file is wrong, an address is taken, or too little may be used\n  2  usage, a wrong URL included\n"
        "  130, 143  ended at once by a second SIGINT, SIGTERM",
        _serve,
        in_environment=True,
    ),
    "init": Command(
        "write a commented configuration file for the engines found on this machine",
        "It asks the ports of 127.0.0.1 that engines usually have (8000, 8001, 8080, 11434, 30000, 1234).\n\n"
        "Whole files for a home, a team or Kubernetes, and for who comes from nginx, LiteLLM, Olla or llama-swap,\n"
        "are in config/examples of the source.\n\n"
        "example:\n  tidegate init\n  tidegate init --stdout\n\n"
        "exit codes:\n  0  written, engines found or not\n  1  the file is there already, or cannot be written\n"
        "  2  usage",
        _init,
    ),
    "demo": Command(
        "show the proxy at work, scene by scene: four simulated engines, no GPU and no network",
        "example:\n  tidegate demo --listen 127.0.0.1:8080\n  tidegate demo --scene round_robin --for 30s --json\n\n"
        "exit codes:\n  0  over, or ended by Ctrl-C or SIGTERM (make itself then says 130)\n"
        "  1  could not start, such as an address that is taken\n"
        "  2  usage",
        _demo,
    ),
    "sim": Command(
        "run one simulated engine over HTTP",
        "example:\n  tidegate sim --help\n\nexit codes:\n  0  ended by Ctrl-C or SIGTERM\n"
        "  1  could not start\n  2  usage",
        _sim,
    ),
    "simulate": Command(
        "try a configuration on recorded or made-up traffic, on virtual time before modelled engines",
        "example:\n  tidegate simulate routing.yaml --trace trace.jsonl --speed 1.5 --compare round_robin --seeds 3\n"
        "  tidegate simulate --workload mixed --engines 8xlow_latency,8xhigh_throughput --out results\n\n"
        "exit codes:\n  0  played\n  1  a file is wrong\n  2  usage",
        _simulate,
    ),
    "check": Command(
        "say everything that is wrong with a configuration file",
        "example:\n  tidegate check routing.yaml\n  tidegate check --strict --format github config/*.yaml\n\n"
        "exit codes:\n  0  right\n  1  wrong\n  2  usage",
        _check,
    ),
    "doctor": Command(
        "say what is wrong around a configuration: engines, names, certificates, clocks, Redis, this machine",
        "It only reads, and takes 10 s at most. With --public it answers itself at\n"
        "`listen` while no proxy runs there; a running one is asked for 2 streams of 24\n"
        "tokens, with the key in TIDEGATE_API_KEY.\n\n"
        "example:\n  tidegate doctor routing.yaml\n"
        "  tidegate doctor routing.yaml --public https://llm.example.com --silence 70s\n\n"
        "exit codes:\n  0  nothing is an error\n  1  something is, or the file is wrong\n  2  usage",
        _doctor,
    ),
    "diff": Command(
        "say what another configuration file changes in meaning",
        "Comments, order of keys and defaults that are spelled out change nothing.\n\n"
        "example:\n  tidegate diff routing.yaml new.yaml\n\n"
        "exit codes:\n  0  they mean the same\n  1  they do not\n  2  one of them is wrong, or usage",
        _diff,
    ),
    "reload": Command(
        "make a running proxy read its file anew; on trial, if that is wanted",
        "Requests under way are not touched. A file that is wrong changes nothing.\n\n"
        "example:\n  tidegate reload\n"
        "  tidegate reload --confirm 60s && ./smoke-test && tidegate reload --confirmed\n\n"
        "exit codes:\n  0  done\n  1  the file is wrong, nothing is on trial, or no proxy answers\n  2  usage",
        _reload,
    ),
    "explain": Command(
        "ask a running proxy what it would do with a request, and why",
        "example:\n  tidegate explain routing.yaml request.json\n"
        "  tidegate explain routing.yaml - --header 'x-slo-ttft-ms: 200' < request.json\n\n"
        "exit codes:\n  0  explained\n  1  a file is wrong, no proxy answers, or the request is refused\n  2  usage",
        _explain,
    ),
    "backends": Command(
        "say what stands behind a running proxy: engines, models, state, load, what was learned of them",
        "example:\n  tidegate backends routing.yaml\n  tidegate backends --admin http://127.0.0.1:9090 --json\n\n"
        "exit codes:\n  0  told\n  1  the file is wrong, or no proxy answers\n  2  usage",
        _backends,
    ),
    "key": Command(
        "make an API key for a client, and say what to write into the configuration",
        "The key is printed once and kept nowhere; the configuration holds its SHA-256 alone.\n\n"
        "example:\n  tidegate key new --tenant team-a\n"
        "  tidegate key new --tenant team-a --id ci --expires 2027-01-01\n\n"
        "exit codes:\n  0  printed\n  2  usage",
        _key,
    ),
    "status": Command(
        "say what a running proxy is and does at this moment",
        "It is what the page on the admin port shows. With an admin_key: TIDEGATE_ADMIN_KEY says it.\n\n"
        "example:\n  tidegate status\n  tidegate status --admin http://10.0.0.7:9090 --json\n\n"
        "exit codes:\n  0  it is ready\n  1  it is not, or no proxy answers\n  2  usage",
        _status,
    ),
    "top": Command(
        "watch a running proxy: goodput, classes, budgets, backends, decisions, as they happen",
        "Keys: 1 2 3 choose what is seen, arrows scroll, s orders backends, n shows only notable decisions,\n"
        "Space holds the picture, ? helps, q ends. Where nobody looks at a terminal, it prints lines.\n"
        "With an admin_key: TIDEGATE_ADMIN_KEY says it.\n\n"
        "example:\n  tidegate top\n  tidegate top --admin http://10.0.0.7:9090 --interval 5s\n\n"
        "exit codes:\n  0  ended by q, Ctrl-C or SIGTERM\n  1  no proxy answers\n  2  usage",
        _top,
    ),
    "cache": Command(
        "say what a running proxy keeps of answers, or make it void",
        "example:\n  tidegate cache stats\n  tidegate cache bump --model qwen3-32b\n\n"
        "exit codes:\n  0  done\n  1  no proxy answers, or it keeps none\n  2  usage",
        _cache,
    ),
    "prefix": Command(
        "say which prompts change at their front, so that engines compute them anew for each request",
        "example:\n  tidegate prefix report routing.yaml\n"
        "  tidegate prefix report --admin http://127.0.0.1:9090 --json\n\n"
        "exit codes:\n  0  reported\n  1  the file is wrong, or no proxy answers\n  2  usage",
        _prefix,
    ),
    "slo": Command(
        "write service level objectives as Prometheus rules or OpenSLO, read OpenSLO, or say how they stand",
        "example:\n  tidegate slo rules routing.yaml > tidegate-slo.rules.yml\n"
        "  tidegate slo rules routing.yaml --format openslo\n  tidegate slo import slo.yaml\n"
        "  tidegate slo status --admin http://127.0.0.1:9090\n\n"
        "exit codes:\n  0  done\n  1  a file is wrong, it has no slos, or no proxy answers\n  2  usage",
        _slo,
    ),
    "plan": Command(
        "say how many tokens and requests fit into the memory of an engine (KV cache)",
        "example:\n  tidegate plan --layers 32 --kv-heads 8 --head-dim 128 --dtype fp16 --memory 24GiB\n"
        "  tidegate plan --layers 32 --kv-heads 8 --head-dim 128 --memory 24GiB --utilization 0.9 --weights 15GiB"
        " --block 16\n\nexit codes:\n  0  answered\n  2  usage, or numbers that cannot be",
        _plan,
    ),
    "schema": Command(
        "print the JSON Schema of the configuration, for editors",
        "example:\n  tidegate schema > schema.json\n\n"
        "first line of the YAML file:\n  # yaml-language-server: $schema=./schema.json\n\nexit codes:\n  0  printed\n"
        "  2  usage",
        _schema,
    ),
    "health": Command(
        "ask a running proxy whether it is ready",
        "example:\n  tidegate health\n  tidegate health http://127.0.0.1:9090/livez\n\n"
        "exit codes:\n  0  it answered 200\n  1  it did not, within 2 s\n  2  usage",
        _health,
    ),
    "completion": Command(
        "print the script that completes commands and options in a shell",
        "example:\n  tidegate completion bash > ~/.local/share/bash-completion/completions/tidegate\n"
        "  tidegate completion zsh > ~/.zfunc/_tidegate        (with ~/.zfunc in fpath, before compinit)\n"
        "  tidegate completion fish > ~/.config/fish/completions/tidegate.fish\n\n"
        "exit codes:\n  0  printed\n  2  usage",
        _completion,
    ),
    "help": Command(
        "say what a command does, as its --help",
        "example:\n  tidegate help serve\n\nexit codes:\n  0  said\n  2  usage",
        _help,
    ),
}


def build_parser(command: str | None, *, whole: bool = False) -> argparse.ArgumentParser:
    """The whole grammar; unless `whole`, only `command` gets its arguments, so that no other one is imported."""
    parser = Parser(
        prog="tidegate",
        description="An OpenAI-compatible smart proxy in front of LLM engines.",
        epilog="start here:\n  tidegate demo\n  tidegate serve http://127.0.0.1:8001\n  tidegate init\n"
        "  tidegate check routing.yaml\n  tidegate serve routing.yaml\n\n"
        "worked files: config/examples of the source, for a home, a team, Kubernetes, and after other proxies\n\n"
        "exit codes:\n  0, 1, 2  as the help of each command says\n"
        "  130      Ctrl-C before a command could end by itself\n  141      whoever read the output left\n\n"
        "environment:\n  TIDEGATE_CONFIG, TIDEGATE_LISTEN, …  what serve is not told, see its help\n"
        "  NO_COLOR                            no colours, though it is a terminal",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name, (summary, epilog, add_arguments, in_environment) in COMMANDS.items():
        sub = subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog,
        )
        if whole or name == command:
            add_arguments(sub)
            if in_environment:
                environment.offer(sub, os.environ)
    return parser


def options_of(command: str | None) -> tuple[str, ...]:
    """Every spelling of every option of a subcommand; of `tidegate` itself for None."""
    if command is None:
        return ("-h", "--help", "--version")
    parser = argparse.ArgumentParser(allow_abbrev=False)
    COMMANDS[command].add_arguments(parser)
    return tuple(option for action in parser._actions for option in action.option_strings)


class _Version(argparse.Action):
    """Reads the version of the installed distribution only when it is asked for."""

    def __init__(self, option_strings: list[str], dest: str, help: str | None = None) -> None:  # noqa: A002
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from proxy import __version__, build

        print(f"tidegate {__version__} ({build()})")
        parser.exit()


def _add_listeners(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", metavar="ADDRESS", type=_address, help="where clients connect, host:port")
    parser.add_argument("--admin", metavar="ADDRESS", type=_address, help="where /readyz and /metrics are, host:port")


def _tokens(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:18]) <= 10**12:
        raise argparse.ArgumentTypeError("must be a whole number above 0, such as 8192")
    return int(text)


def _duration(text: str) -> float:
    from proxy.model.units import parse_duration_s

    try:
        seconds = float(parse_duration_s(text))
    except ValueError as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None
    if not 1.0 <= seconds <= 86_400.0:
        raise argparse.ArgumentTypeError("must be between 1 s and 1 day")
    return seconds


def _factor(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.01 <= number <= 100.0:
        raise argparse.ArgumentTypeError("must be a number between 0.01 and 100")
    return number


def _address(text: str) -> str:
    from proxy.config.address import parse_address

    try:
        return str(parse_address(text))
    except ValueError as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None


def _tenant(text: str) -> str:
    from proxy.model.tenants import OTHERS, is_tenant

    if text == OTHERS or not is_tenant(text):
        raise argparse.ArgumentTypeError("must be up to 64 of A-Z a-z 0-9 . _ @ + -, such as team-a, and no API key")
    return text


def _moment(text: str) -> str:
    from proxy.config.written import moment_s

    try:
        moment_s(text)
    except ValueError as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None
    return text


def _log_level(text: str) -> str:
    from proxy.config.schema import LogLevel

    return _one_of(text, get_args(LogLevel))


def _auth(text: str) -> str:
    from proxy.model.auth import AuthMode

    return _one_of(text, get_args(AuthMode))


def _log_format(text: str) -> str:
    from proxy.config.schema import LogFormat

    return _one_of(text, get_args(LogFormat))


def _one_of(text: str, known: tuple[str, ...]) -> str:
    from proxy.config.refusal import did_you_mean, quoted

    if text in known:
        return text
    hint = did_you_mean(text, known)
    raise argparse.ArgumentTypeError(
        f"{quoted(text)} is not one of {', '.join(known)}{f'; {hint}' if hint else ''}",
    )


def _silence(text: str) -> float:
    from proxy.model.units import parse_duration_s

    try:
        seconds = float(parse_duration_s(text))
    except ValueError as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None
    if not 0 < seconds <= _LONGEST_SILENCE_S:
        raise argparse.ArgumentTypeError("must be above 0 and at most 15m")
    return seconds


def _trial(text: str) -> str:
    from proxy.model.units import parse_duration_s

    try:
        if not 0 < parse_duration_s(text) <= _LONGEST_TRIAL_S:
            raise argparse.ArgumentTypeError("must be above 0 and at most 1h")
    except ValueError as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isascii() or not text.isprintable():
        raise argparse.ArgumentTypeError("write it like 'x-tidegate-class: bulk'")
    return name.strip(), value.strip()


def _http_url(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        known = None
    if not known or not text.isascii() or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f"not a URL; write it like {DEFAULT_READY_URL}")
    return text
