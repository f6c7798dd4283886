"""What the commands that forecast take. Each is imported only when it is the one that runs."""

import argparse

from proxy.cli import values


def calibrate(parser: argparse.ArgumentParser) -> None:
    """Of `tidegate calibrate`."""
    from proxy.app.forecast.calibrate import add_arguments

    add_arguments(parser)


def plan(parser: argparse.ArgumentParser) -> None:
    """Of `tidegate plan`, in both ways."""
    from proxy.app.forecast import capacity
    from proxy.config.plain import options_of
    from proxy.model.kv_cache import KvCacheSettings

    memory = parser.add_argument_group("memory of one engine, by the formula")
    for name, field in options_of(KvCacheSettings).model_fields.items():
        about = (field.description or "").replace("`", "").replace("%", "%%")
        default = "" if field.is_required() else f" (default: {field.default})"
        metavar = {"memory": "SIZE", "weights": "SIZE", "dtype": "TYPE", "utilization": "SHARE"}.get(name, "N")
        option = "--" + name.replace("_", "-")
        memory.add_argument(option, metavar=metavar, help=about + default)
    memory.add_argument(
        "--context",
        metavar="TOKENS",
        type=values.tokens,
        action="append",
        help="prompt and answer of one request; may be repeated (default: some usual lengths)",
    )
    memory.add_argument("--json", action="store_true", help="everything, for programs")
    capacity.add_arguments(parser)


def tune(parser: argparse.ArgumentParser) -> None:
    """Of `tidegate tune`."""
    from proxy.app.forecast.tune import add_arguments

    add_arguments(parser)
    live = parser.add_argument_group("the best of them, measured")
    url = "the proxy that runs FILE: the trace is replayed through it, before each change and with it; FILE is put back"
    live.add_argument("--url", metavar="URL", type=values.http_url, help=url)
    admin = "its admin port (default: 127.0.0.1:9090), which reads FILE anew"
    live.add_argument("--admin", metavar="URL", type=values.http_url, help=admin)
    longest = "longest time for that, such as 30m: what would not end by then is not begun (default: none)"
    live.add_argument("--verify-for", metavar="DURATION", type=values.duration, default=float("inf"), help=longest)
    best = "so many of the best are measured, 1 to 5 (default: %(default)s)"
    live.add_argument("--verify", metavar="N", type=int, choices=range(1, 6), default=3, help=best)
