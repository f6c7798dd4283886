"""Every option of the schema either waits for a restart, and says so, or a change of it is in place after a reload:
what differs between a proxy started with the one file and one started with the other is as in the second."""

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from proxy.app.candidate import Candidate, candidate
from proxy.app.listeners import StartError
from proxy.app.proxy import Proxy
from proxy.config.options import Option, all_options
from proxy.config.restart import needs_restart
from proxy.config.schema import Config
from proxy.config.secrets import SecretSource
from tests.support.object_graph import values

ELSEWHERE = {
    "version": "there is one only",
    "include": "of files: test_included_live",
    "reload": "of the watch over the files: test_reload_process",
    "tls": "of connections: test_tls_live",
    "telemetry": "is made anew as a whole where it differs",
    **dict.fromkeys(("backends[].tls.verify", "backends[].tls.ca_file"), "of connections: test_address"),
    **dict.fromkeys(("backends[].resolve", "backends[].resolve_every"), "of lookups: test_membership_live"),
    "log": "of the process, not of the proxy",
    **dict.fromkeys(("backends[].hardware", "backends[].precision"), "of rows of CSV, which only a process writes"),
    **dict.fromkeys(("cache.remote", "cache.remote_password"), "of connections: test_kept_answers"),
    **dict.fromkeys(
        ("classes[].validate.answers", "classes[].validate.repair"), "starts a process: test_structured_live"
    ),
    "metrics.requests": "asked of the configuration for each request: test_reconfigured_live",
    "metrics.series": "of `tidegate check` alone",
    "routing.scrape": "of the scrapers, which only a started proxy has: test_reconfigured_live",
    **dict.fromkeys(("auth.mode", "auth.from"), "of the gate, which then knows fewer, or networks: test_gate"),
    "tokenizers": "a file that must be there: test_tokenizers",
}
"""Options that are looked at by other tests."""
ARTEFACTS = {
    *("share", "_ramp_base", "_ramp_since", "number", "mask", "version", "generation"),
    *("_created", "_offset_s", "_awake_since", "_looked", "started_at", "config['loaded_at']"),
}
"""What shows that a reload came: who is new starts slowly, and has the next number. And when a proxy was made."""
WORDS: list[Any] = [
    *(True, False, 2, 3, 1, 0.3, 0.7, 1.5, 5, 7, 40, 5000, 0, 16),
    *(
        "7s",
        "70ms",
        "3KiB",
        "77MiB",
        "48MiB",
        "2GiB",
        "30%",
        "off",
        "any",
        "other",
        "vip",
        "p95",
        "cut",
        "x-else",
        "/else",
    ),
    *("redis://127.0.0.1:1/3", "paced 20/s", "http://127.0.0.1:9", "${OTHER}", "m2", "chatbot"),
    *(["x-else"], ["/else"], ["m2"], ["other"], ["https://else.example"], ["busy"], ["bulk"], ["vip"], ["embeddings"]),
    *(
        {"other": "m2"},
        {"vip": 2.0},
        {"0123abcd": 2.0},
        ["0123abcd"],
        "0123abcd",
        ["10.0.0.6"],
        "2" * 64,
        "2030-01-01",
        ["q"],
        "bulk",
        "completions",
        300,
        100000,
    ),
    "m3",
    "14d",
    "127.0.0.9",
]
"""What options are changed to: the first that may stand there and is another one."""


def base(folder: Path) -> dict[str, Any]:
    """A file with an entry in every list, so that there is something to be changed."""
    prompt, other = folder / "p.txt", folder / "q.txt"
    prompt.write_text("Today is {{day}}.\n\nYou are kind.\n")
    other.write_text("You are short.")
    return {
        "version": 1,
        "realtime": {"connections": 4},
        "backends": [
            {
                "url": "http://127.0.0.1:7",
                "name": "a",
                "models": ["m", "m2", "m3"],
                "api_key": "${KEY}",
            },
            {
                "url": "http://127.0.0.1:8",
                "name": "b",
                "models": ["m", "m2", "m3"],
                "pool": "other",
                "labels": ["other"],
            },
            {
                "url": "http://127.0.0.1:6",
                "name": "c",
                "models": ["m", "m2", "m3"],
                "kv_cache": {"layers": 4, "kv_heads": 4, "head_dim": 4, "memory": "20GiB"},
            },
        ],
        "classes": [
            {
                "name": "vip",
                "slo": {"e2e_tokens": 40, "e2e": "3s"},
                "window": {"mode": "adaptive"},
                "fallback": {"model": "m2"},
                "hedge": {"after": "p95"},
                "answer": {"first": 40},
            },
            {"name": "spare"},
        ],
        "headers": {"client": "forwarded"},
        "cache": {"size": "48MiB", "remote": "redis://127.0.0.1:1/0", "remote_password": "${KEY}"},
        "auth": {"mode": "keys", "header": "x-user", "from": ["10.0.0.5"]},
        "tenants": [{"tenant": "t", "keys": [{"digest": "1" * 64}], "limits": [{}]}],
        "routing": {
            "rules": [
                {"when": {name: {"min": 1, "max": 9} for name in ("max_tokens", "prompt_tokens")}, "class": "vip"}
            ],
            "models": [{"name": "m", "fallback": {"model": "m2"}}],
            "windows": [{"endpoint": "embeddings", "max_wait": "30ms"}],
        },
        "prompts": [
            {"name": "p", "versions": [{"version": "1", "file": str(prompt)}], "answer": {"first": 40}},
            {"name": "q", "versions": [{"version": "1", "file": str(other)}]},
        ],
        "warm": {"prompts": ["p"]},
        "slos": [{"name": "fast", "class": "vip", "objective": "99%", "ttft": "1s"}],
        "stages": {"retrieval": {"budget": "90ms"}},
    }


def config(tree: dict[str, Any]) -> Config:
    context = SecretSource({"KEY": "k", "OTHER": "o"}, Path())
    return Config.model_validate_json(json.dumps(tree), strict=True, context=context)


def options() -> list[Option]:
    """Those that this test is for."""
    return [option for option in all_options(Config) if not option.group and not _is_elsewhere(option)]


def _is_elsewhere(option: Option) -> bool:
    name = name_of(option)
    return needs_restart(option.path) or name in ELSEWHERE or name.partition(".")[0] in ELSEWHERE


def name_of(option: Option) -> str:
    return ".".join(option.path).replace(".[]", "[]")


def changed(tree: dict[str, Any], option: Option) -> Iterator[dict[str, Any]]:
    """The same file with another value of this option, in every way that may be."""
    before, file = config(tree), tree["prompts"][1]["versions"][0]["file"]
    for value in [*_literals(option.field.annotation), *(option.field.examples or ()), *WORDS, file]:
        for place in range(3 if "[]" in option.path else 1):
            other = copy.deepcopy(tree)
            if not _put(other, option.path, value, place):
                continue
            try:
                after = config(other)
                candidate(after)
            except (ValueError, StartError):
                continue
            if after != before:
                yield other


def _literals(annotation: Any) -> list[Any]:
    found = [value for value in get_args(annotation) if isinstance(value, str | bool | int)]
    return found + [value for inner in get_args(annotation) for value in _literals(inner)]


def _put(tree: Any, path: tuple[str, ...], value: Any, place: int) -> bool:
    """Whether there is room for it; `place`: in each list on the way, as far as it goes."""
    for key in path[:-1]:
        if key == "[]":
            if not tree:
                return False
            tree = tree[min(place, len(tree) - 1)]
        elif key == "<name>":
            tree = next(iter(tree.values()), None)
        else:
            tree = tree.setdefault(key, {})
        if tree is None:
            return False
    if not isinstance(tree, dict) or (tree.get(path[-1]) == value and type(tree.get(path[-1])) is type(value)):
        return False
    tree[path[-1]] = value
    return True


class Bench:
    """Proxies that are never started, and what can be reached from them."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.tree = tree
        self.first = candidate(config(tree))
        self.before = self.values(self.fresh(self.first))
        again = self.values(self.fresh(self.first))
        self.volatile = ARTEFACTS | {_last(way) for way in self.before if self.before[way] != again.get(way)}

    def fresh(self, made: Candidate) -> Proxy:
        return Proxy(made.config, made.rule_lines)

    def values(self, proxy: Proxy) -> dict[str, Any]:
        roots = {
            "backends": proxy._backends,
            "scheduler": proxy._scheduler,
            "serving": proxy._exchanges.serving,
            "explainer": proxy._explainer,
            "edge": proxy._edge,
            "cache": proxy._cache.now,
            "lasting": [proxy._lasting.memory, proxy._lasting.budget, proxy._lasting.bodies],
            "drain": proxy._drain,
            "warmer": proxy._warmer,
            "lint": proxy._lint is None,
            "admin": proxy._admin,
            "gate": proxy._gate,
            "shown": proxy._shown,
            "slos": proxy._slos,
            "timings": [proxy._timings, proxy._stages],
        }
        ways = ((name, values(root, (Config, Candidate))) for name, root in roots.items())
        return {f"{name}{way}": value for name, below in ways for way, value in below.items()}

    async def differences(self, tree: dict[str, Any]) -> tuple[int, dict[str, tuple[Any, Any]]]:
        """In how many places the other file shows; and where it does not after a reload: what should be, what is."""
        wanted = candidate(config(tree))
        after = self.values(self.fresh(wanted))
        ways = [way for way in after if _last(way) not in self.volatile and self.before.get(way, after) != after[way]]
        proxy = self.fresh(self.first)
        proxy.configured.prepare(wanted)()
        is_now = self.values(proxy)
        for task in proxy._attendants.tasks():
            task.cancel()
        told = {(_last(way), value) for way, value in is_now.items()}
        return len(ways), {
            way: (after[way], is_now.get(way))
            for way in ways
            if (is_now[way] != after[way] if way in is_now else (_last(way), after[way]) not in told)
        }


def _last(way: str) -> str:
    """What was taken over may be reached by another way than what was made: then its name is what counts."""
    return way.rpartition(".")[2]


def test_every_option_is_in_one_of_the_two_lists(tmp_path: Path) -> None:
    tree = base(tmp_path)
    unchanged = [name_of(option) for option in options() if not any(changed(tree, option))]
    assert unchanged == [], "nothing is known to change these to"


@pytest.mark.slow
@pytest.mark.parametrize(
    "group",
    sorted({option.path[0] for option in options()}),
)
async def test_a_change_of_it_is_in_place_after_a_reload(tmp_path: Path, group: str) -> None:
    bench = Bench(base(tmp_path))
    wrong: dict[str, Any] = {}
    for option in options():
        if option.path[0] != group:
            continue
        for tree in changed(bench.tree, option):
            shows, differences = await bench.differences(tree)
            if shows:
                break
        else:
            wrong[name_of(option)] = "shows nowhere"
            continue
        if differences:
            wrong[name_of(option)] = dict(list(differences.items())[:3])
    await asyncio.sleep(0)
    assert wrong == {}
