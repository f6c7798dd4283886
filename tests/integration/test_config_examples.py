"""The worked files of config/examples: `check` finds no more than is said here, and each is served before simulated
engines, its URLs and ports apart as it stands."""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from proxy.config.diagnostics import Severity
from proxy.config.loader import load
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings
from tests.support.live_proxy import Answer, Live, serving

FOLDER = Path(__file__).parents[2] / "config" / "examples"
FILES = sorted(path.name for path in FOLDER.glob("*.yaml"))
ENVIRONMENT = {"OPENAI_API_KEY": "sk-cloud", "TIDEGATE_ADMIN_KEY": "admin"}
WARNINGS = {
    "fleet.yaml": ["there is no directory /var/lib/tidegate"],  # it is in the container
    "team.yaml": ['leaves out "gpt-5-mini", the fallback of'] * 2,  # as its comment says
}
FOUND = {"llama-server": ("qwen3-8b",), "ollama": ("qwen3-8b", "gemma3:4b")}
"""Models of the engines whose file does not name them."""


@pytest.mark.parametrize("name", FILES)
def test_check_says_no_more_than_is_meant(name: str) -> None:
    loaded = load(FOLDER / name, ENVIRONMENT)
    assert loaded.config is not None, loaded.diagnostics
    told = [d.message for d in loaded.diagnostics if d.severity is not Severity.NOTE]
    wanted = [] if Path("/var/lib/tidegate").is_dir() and name == "fleet.yaml" else WARNINGS.get(name, [])
    assert len(told) == len(wanted), told
    assert all(words in text for words, text in zip(wanted, told, strict=True)), told


def test_the_readme_says_which_to_take() -> None:
    text = (FOLDER / "README.md").read_text()
    assert [name for name in FILES if f"({name})" not in text] == []
    linked = set(re.findall(r"\(([a-z./-]+)\)", text))
    assert [name for name in linked if not (FOLDER / name).is_file()] == []


class Served:
    """One example with engines behind it, and a key for each of its tenants."""

    def __init__(self, live: Live, tree: dict[str, Any], keys: dict[str, str]) -> None:
        self.live, self.tree, self.keys = live, tree, keys

    async def ask(self, model: str, tenant: str | None = None) -> Answer:
        key = self.keys.get(tenant or next(iter(self.keys), ""))
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        if model in ("bge-m3", "embed"):
            return await self.live.send("POST", "/v1/embeddings", {"model": model, "input": "hello"}, **headers)
        return await self.live.ask({"model": model, "stream": False}, **headers)


def rewritten(tree: dict[str, Any], urls: dict[str, str], folder: Path) -> dict[str, str]:
    """Ports of the system's choice, engines of ours, keys that are known; returns those by tenant."""
    tree["listen"] = tree["admin"] = "127.0.0.1:0"
    keys = {}
    for entry in tree.get("tenants", ()):
        keys[entry["tenant"]] = f"tg-of-{entry['tenant']}"
        entry["keys"] = ["sha256:" + hashlib.sha256(keys[entry["tenant"]].encode()).hexdigest()]
    for backend in named(tree):
        backend["url"] = urls[backend["name"]]
    if "state" in tree:
        tree["state"] = str(folder / "state.json")
    return keys


def named(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Backends of a file; those without a name are called by their address there."""
    for backend in tree["backends"]:
        backend.setdefault("name", urlsplit(backend["url"]).netloc)
    return list(tree["backends"])


def models_of(backend: dict[str, Any]) -> tuple[str, ...]:
    return tuple(backend.get("models", FOUND.get(backend["name"], ("m",))))


@asynccontextmanager
async def served(name: str, folder: Path) -> AsyncIterator[Served]:
    # to PyYAML a bare `on` is true; to the proxy it is the word
    tree = yaml.safe_load((FOLDER / name).read_text().replace("on: [", '"on": ['))
    async with AsyncExitStack() as stack:
        sims = {}
        for backend in named(tree):
            key = ENVIRONMENT["OPENAI_API_KEY"] if "api_key" in backend else None
            sim = SimServer(SimSettings(name="sim", models=models_of(backend), api_key=key))
            await sim.start()
            stack.push_async_callback(sim.stop)
            sims[backend["name"]] = sim
        keys = rewritten(tree, {one: sim.url for one, sim in sims.items()}, folder)
        file = folder / "routing.yaml"
        file.write_text(yaml.safe_dump(tree))
        live = await stack.enter_async_context(serving(file, ENVIRONMENT, sims))
        yield Served(live, tree, keys)


@pytest.mark.parametrize("name", FILES)
async def test_every_model_of_it_is_served(tmp_path: Path, name: str) -> None:
    async with served(name, tmp_path) as example:
        for backend in example.tree["backends"]:
            for model in backend.get("aliases") or models_of(backend):  # by the names that clients use
                answer = await example.ask(model)
                assert answer.status == 200, (model, answer.body)
        if example.keys:
            refused = await example.live.ask({"model": "any"})
            assert refused.status == 401


async def test_at_home_ollama_comes_second(tmp_path: Path) -> None:
    async with served("home.yaml", tmp_path) as example:
        told = [(await example.ask("qwen3-8b")).route["backend"] for _ in range(8)]
        assert told == ["llama-server"] * 8
        await example.live.sims["llama-server"].stop()
        answer = await example.ask("qwen3-8b")
        assert (answer.status, answer.route["backend"]) == (200, "ollama")


async def test_the_teams_cloud_is_the_last_to_be_asked_and_not_for_the_nightly_job(tmp_path: Path) -> None:
    async with served("team.yaml", tmp_path) as example:
        assert (await example.ask("qwen3-32b")).route["backend"] == "large-1"
        await example.live.sims["large-1"].stop()
        answer = await example.ask("qwen3-32b")
        assert (answer.status, answer.route["fallback"]) == (200, "model:qwen3-8b")
        await example.live.sims["chat-1"].stop()
        await example.live.sims["chat-2"].stop()
        answer = await example.ask("qwen3-8b")
        assert (answer.status, answer.route["backend"]) == (200, "cloud")
        assert (await example.ask("gpt-5-mini", "night-jobs")).status == 404


@pytest.mark.parametrize(
    ("name", "model", "first", "then"),
    [
        ("from-nginx.yaml", "m", {"10.0.0.11:11434", "10.0.0.12:11434"}, "10.0.0.13:11434"),
        ("from-litellm.yaml", "chat", {"gpu1:8000", "gpu2:8000"}, "api.openai.com"),
        ("from-olla.yaml", "m", {"local-ollama"}, "neo-llama"),
        ("fleet.yaml", "qwen3-32b", {"vllm"}, "spare"),
    ],
)
async def test_who_was_the_backup_there_is_the_backup_here(
    tmp_path: Path, name: str, model: str, first: set[str], then: str
) -> None:
    async with served(name, tmp_path) as example:
        assert {(await example.ask(model)).route["backend"] for _ in range(6)} <= first
        for one in first:
            await example.live.sims[one].stop()
        answer = await example.ask(model)
        assert (answer.status, answer.route["backend"]) == (200, then)
