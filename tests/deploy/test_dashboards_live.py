"""Every query of every dashboard has data: a real Prometheus, a real proxy, the demo's engines and load, and all that
happens rarely made to happen."""

import asyncio
import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pytest

from proxy.app.demo.engines import MODEL, Engines
from proxy.obs.dashboards import dashboards
from proxy.obs.monitoring.panels import document
from proxy.sim.http.traffic import Traffic
from tests.support.bed import Bed, backend_entry
from tests.support.engine_scripts import SCRIPTS
from tests.support.fake_backend import Exchange, FakeBackend
from tests.support.otlp_receiver import otlp_receiver
from tests.support.patience import eventually
from tests.support.prometheus import PrometheusServer, needs_prometheus, prometheus_server
from tests.support.proxy_process import Config, ProxyProcess
from tests.support.raw_client import RawAnswer
from tests.support.redis_server import PROGRAM as REDIS
from tests.support.redis_server import redis_server

pytestmark = pytest.mark.slow
CHATS = "/v1/chat/completions"
ODD = "odd-model"
WITHOUT_DATA = {
    "Accepted drafts": "engines that decode speculatively",
    "Memory of cards": "engines that tell it: Ollama, SGLang",
    "Left of the certificate": "TLS towards clients: tests/integration/test_tls_live.py",
    "Loading a model": "engines that load models as they are asked for them: Ollama, llama-swap",
    "WebSockets that ended, or never began": "engines with /v1/realtime: tests/integration/test_realtime_live.py",
    **({} if REDIS else {"Second level": "there is no redis-server here"}),
}
"""Panels of what this bed does not have."""
RULES = "\n".join(f"Rule {number}: mind the {number * 7} spoons of drawer {number % 13}." for number in range(120))
FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "required": ["n"]}}}
KEY = "Bearer sk-little"
NUMBERS = itertools.count(1)
LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)")


def config(engines: Engines, odd: list[FakeBackend], collector: str, redis: str | None, folder: Path) -> Config:
    """All that is counted is configured."""
    (folder / "support.md").write_text(f"You serve {{{{shop}}}}.\n\n{RULES}")
    classes: list[Config] = [
        {"name": "interactive", "slo": {"ttft": "200ms", "tpot": "50ms"}},
        {"name": "late", "hedge": {"after": "100ms", "budget": "50%"}},
        {"name": "formed", "validate": {"answers": True, "repair": True}},
        {"name": "edited", "prompts": {"strip": ["billing"], "history": 200}},
        {"name": "short", "answer": {"first": "12 tokens"}},
        {"name": "elsewhere", "fallback": {"model": MODEL}},
    ]
    window = {"endpoint": "embeddings", "mode": "fixed", "max_wait": "200ms", "max_jobs": 8}
    kv_cache = {"layers": 32, "kv_heads": 8, "head_dim": 128, "memory": "24GiB"}
    return {
        "backends": [
            *engines.backends(),
            backend_entry(odd[0], "odd-1", pool="odd", kv_cache=kv_cache, seats=4),
            backend_entry(odd[1], "odd-2", pool="odd", parameters={"default": {"top_p": 0.9}}),
        ],
        "auth": "none",
        "classes": classes,
        "tenants": [{"tenant": hashlib.sha256(b"sk-little").hexdigest()[:8], "requests_per_minute": 3}],
        "routing": {"models": [{"name": MODEL}, {"name": ODD}], "windows": [window]},
        "slos": [{"name": "chat", "class": "interactive", "objective": "99%", "ttft": "200ms"}],
        "cache": {"size": "64MiB", **({} if redis is None else {"remote": redis})},
        "prompts": [{"name": "support", "versions": [{"version": "1", "file": str(folder / "support.md")}]}],
        "warm": {"prompts": ["support"]},
        "store": str(folder / "store"),
        "stages": {"retrieval": {"budget": "10ms"}},
        "telemetry": {"endpoint": collector, "interval": "1s"},
    }


async def first_late(exchange: Exchange) -> None:
    """The first attempt of a request takes long."""
    second = (exchange.request.header("x-request-id") or "").endswith("-2")
    exchange.arguments = ["0" if second else "2"]
    await SCRIPTS["slow"](exchange)


@contextmanager
def load(bed: Bed, url: str) -> Iterator[None]:
    """The demo's clients."""

    async def begin() -> "asyncio.Task[None]":
        return asyncio.ensure_future(Traffic(f"{url}/v1", MODEL).run())

    async def end(clients: "asyncio.Task[None]") -> None:
        clients.cancel()
        await asyncio.gather(clients, return_exceptions=True)

    clients = bed.loop.run(begin())
    try:
        yield
    finally:
        bed.loop.run(end(clients))


def ask(proxy: ProxyProcess, name: str = "", script: str = "", **fields: Any) -> RawAnswer:
    """One chat of a class; with a script it is for the odd engines."""
    chat = {"model": ODD if script else MODEL, "messages": [user("hello")], "max_tokens": 8, **fields}
    headers = [*([("x-tidegate-class", name)] if name else []), *([("x-fake", script)] if script else [])]
    return proxy.ask("POST", CHATS, chat, headers, deadline_s=20.0)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def at_once(*calls: Callable[[], Any]) -> None:
    """All of them, to their ends."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for begun in [pool.submit(call) for call in calls]:
            begun.result()


def happen(proxy: ProxyProcess) -> None:
    """What the load alone does not bring about, once."""
    number = next(NUMBERS)
    memory(proxy, number)
    trouble(proxy)
    prompts(proxy, number)
    for _ in range(4):  # more than it may
        proxy.ask("POST", CHATS, {"model": MODEL, "messages": [user("?")], "max_tokens": 2}, [("authorization", KEY)])
    stages = ("x-tidegate-stages", "retrieval;dur=42;hit=1, rerank;dur=18, nonsense;dur=x")
    proxy.ask("POST", CHATS, {"model": MODEL, "messages": [user("?")], "max_tokens": 2}, [stages])
    batch(proxy, number)
    proxy.ask("GET", "/v1/responses/resp_of_nobody")
    proxy.config_path.write_text(f"{proxy.config_path.read_text()}# {number}\n")


def batch(proxy: ProxyProcess, number: int) -> None:
    """Two lines that are answered, and one that is asked again, in vain."""
    lines = [
        {"custom_id": f"{number}-{place}", "method": "POST", "url": CHATS, "body": {**body, "max_tokens": 4}}
        for place, body in enumerate({"model": model, "messages": [user("?")]} for model in (MODEL, MODEL, ODD))
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="sk-batches", timeout=20.0) as client:
        file = client.files.create(file=("lines.jsonl", content), purpose="batch")
        client.batches.create(input_file_id=file.id, endpoint=CHATS, completion_window="24h")


def memory(proxy: ProxyProcess, number: int) -> None:
    """The same again, the same at once, and what goes in one call."""
    for _ in range(2):
        ask(proxy, temperature=0, seed=number)
    at_once(*[partial(ask, proxy, temperature=0, seed=-number, stream=True)] * 4)
    texts = [{"model": MODEL, "input": f"text {one} of {number}"} for one in range(6)]
    at_once(*[partial(proxy.ask, "POST", "/v1/embeddings", text) for text in texts])


def trouble(proxy: ProxyProcess) -> None:
    """Engines that fail, are full, are late, or answer in another form."""
    ask(proxy, "late", "first-late")
    for script in ("status 500 broke", "reset", "stream-then 2 reset", "status 400 wrong"):
        ask(proxy, script=script)
    ask(proxy, "elsewhere", "reset")
    ask(proxy, "formed", "slow 0", response_format=FORM)
    at_once(*[partial(ask, proxy, script=script) for script in ["slow 2"] * 4 + ["slow-status 1 503"] * 2])
    ask(proxy, messages=[user("word " * 20_000)], stream=True)


def prompts(proxy: ProxyProcess, number: int) -> None:
    """Named ones, those that are edited, those that change at their front, and answers that are short first."""
    turns = [user("word " * 300), {"role": "assistant", "content": "yes"}] * 3
    for ticket in range(4):
        system = {"role": "system", "content": f"Ticket {10 * number + ticket}\n{RULES}"}
        body = {"model": MODEL, "messages": [system, user("?")], "max_tokens": 1}
        proxy.ask("POST", CHATS, body, [("authorization", "Bearer sk-tickets")])  # whose first requests are looked at
        billing = f"x-anthropic-billing-header: cc_version=2; cch={ticket:05x};\n{RULES}"
        ask(proxy, "edited", messages=[{"role": "system", "content": billing}, *turns, user("?")], max_tokens=1)
    first = ask(proxy, "short", max_tokens=40, ignore_eos=True)
    name = first.head.get("x-tidegate-expandable")
    assert name is not None
    proxy.ask("POST", f"/v1/tidegate/requests/{name}/expand", {})
    ask(proxy, prompt={"id": "support", "version": "1", "variables": {"shop": "Acme"}}, stream=True)


@contextmanager
def scraped(bed: Bed, folder: Path) -> Iterator[tuple[ProxyProcess, PrometheusServer]]:
    """A Prometheus that has seen all of it."""
    engines = Engines()
    with ExitStack() as stack:
        odd = [stack.enter_context(bed.backend(models=(ODD,))) for _ in range(2)]
        for engine in odd:
            engine.scripts["first-late"] = first_late
        collector = stack.enter_context(otlp_receiver())
        bed.loop.run(engines.start())
        stack.callback(lambda: bed.loop.run(engines.stop()))
        redis = stack.enter_context(redis_server()).url if REDIS else None
        proxy = stack.enter_context(bed.proxy(config(engines, odd, collector.url, redis, folder), models=2))
        rules = (Path(__file__).parents[2] / "deploy" / "alerts.yml").read_text()
        prometheus = stack.enter_context(prometheus_server(folder, proxy.admin_port, rules))
        with load(bed, proxy.url):
            yield proxy, prometheus


def chosen(prometheus: PrometheusServer, variables: list[Any]) -> dict[str, str]:
    """What each variable stands for where all is chosen, as Grafana writes it."""
    values: dict[str, str] = {}
    for variable in variables:
        if variable["type"] == "query":
            asked = LABEL_VALUES.fullmatch(variable["query"]["query"])
            assert asked is not None
            found = prometheus.label_values(asked[2], filled(asked[1], values))
            assert found, f"variable {variable['name']} has no values"
            values[variable["name"]] = "|".join(re.escape(value) for value in found)
    return values


def filled(expression: str, values: dict[str, str]) -> str:
    """As Grafana asks it. All that happened counts, whenever it was."""
    said = {
        "__rate_interval": "5m",
        "__range": "5m",
        **{name: value.replace("\\", "\\\\") for name, value in values.items()},
    }
    return re.sub(r"\$(\w+)", lambda match: said[match[1]], expression)


def has_data(prometheus: PrometheusServer, expression: str) -> bool:
    """Now or within the last minutes, which is what a panel shows."""
    return any(map(math.isfinite, prometheus.lately(expression)))


def silent(prometheus: PrometheusServer) -> list[tuple[str, str]]:
    """Panels and annotations with a query that has no data yet, and the query."""
    found: list[tuple[str, str]] = []
    for dashboard in map(document, dashboards()):
        values = chosen(prometheus, dashboard["templating"]["list"])
        queries = [(one["name"], one["expr"]) for one in dashboard["annotations"]["list"]]
        for panel in dashboard["panels"]:
            queries += [(panel["title"], target["expr"]) for target in panel.get("targets", ())]
        found += [(title, expr) for title, expr in queries if not has_data(prometheus, filled(expr, values))]
    return found


@needs_prometheus
def test_every_query_has_data(bed: Bed, tmp_path: Path) -> None:
    with scraped(bed, tmp_path) as (proxy, prometheus):
        missing: list[tuple[str, str]] = []

        def all_there() -> bool:
            happen(proxy)
            missing[:] = silent(prometheus)
            return {title for title, _ in missing} <= set(WITHOUT_DATA)

        try:
            eventually(all_there, "data for every panel", 150.0)
        except AssertionError:
            told = "\n".join(f"{title}: {expr}" for title, expr in missing if title not in WITHOUT_DATA)
            pytest.fail(f"no data for\n{told}\n{proxy.error_text[-2000:]}")
        assert {title for title, _ in missing} == set(WITHOUT_DATA)
        told = [text for alert in prometheus.alerts() for text in alert["annotations"].values()]
        assert not [text for text in told if "<error" in text or "no value" in text]
        assert json.loads(proxy.admin("/config").body)["last_attempt"]["successful"]
