"""The clients in deploy/examples/clients, each as its reader runs it: in a process, before a proxy and an engine."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.bed import backend_entry
from tests.support.live_proxy import SimEngine, running
from tests.support.ollama_engine import ollama

FOLDER = Path(__file__).parents[2] / "deploy" / "examples" / "clients"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FRAMEWORKS = Path(os.environ.get("TIDEGATE_FRAMEWORKS") or _CACHE / "tidegate" / "frameworks") / "bin" / "python"
IS_REQUIRED = os.environ.get("TIDEGATE_FRAMEWORKS_REQUIRED") == "1"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_frameworks = pytest.mark.skipif(
    not FRAMEWORKS.exists() and not IS_REQUIRED,
    reason="LangChain and LlamaIndex are not there: sh deploy/frameworks.sh",
)


async def output_of(url: str, *command: str | Path) -> str:
    """What an example prints; it must end well and say nothing on standard error."""
    home = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env={**home, "TIDEGATE_URL": url, "TIDEGATE_API_KEY": "sk-example"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        printed, said = await asyncio.wait_for(process.communicate(), 120.0)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    assert b"Traceback" not in said, said.decode()
    return printed.decode()


def told(printed: str) -> dict[str, str]:
    """Lines of an example by their first word."""
    return {name: rest.strip() for name, _, rest in (line.partition(":") for line in printed.splitlines())}


async def test_the_openai_client(tmp_path: Path) -> None:
    async with running(tmp_path, "", (SimEngine("a"),)) as live:
        lines = told(await output_of(live.proxy.listen_url, sys.executable, FOLDER / "chat_openai.py"))
        assert len(lines["whole"].split()) > 5
        assert len(lines["stream"].split()) > 5
        assert lines["served by"].startswith("backend=a;")
        assert lines["tokens"] == "32"
        assert lines["refused"].startswith("404 model_not_found request ")
        assert "tidegate_requests_total{" in await live.metrics()


async def test_the_anthropic_client(start_pair) -> None:
    _, proxy = start_pair(models=("fake-model",))
    lines = told(await output_of(proxy.url, sys.executable, FOLDER / "chat_anthropic.py"))
    assert lines["whole"] == lines["stream"] == "echo: Name three rivers."
    assert lines["tokens"] == "7"
    assert lines["refused"].startswith("404 not_found_error request ")


async def test_the_ollama_client(start_backend, start_proxy) -> None:
    engine = start_backend(ollama, models=("llama3.2:latest",))
    proxy = start_proxy({"backends": [backend_entry(engine, "a")]})
    printed = await output_of(proxy.url, sys.executable, FOLDER / "chat_ollama.py")
    lines = told(printed)
    assert lines["whole"] == lines["stream"]
    assert lines["whole"].startswith("echo: Name three rivers.")
    assert int(lines["tokens"]) > 3
    assert lines["refused"].startswith("404 The model ")


@needs_curl
async def test_curl(tmp_path: Path) -> None:
    async with running(tmp_path, "", (SimEngine("a"),)) as live:
        printed = await output_of(live.proxy.listen_url, "sh", FOLDER / "chat.sh", "m")
        assert '"finish_reason":"length"' in printed.replace(" ", "")
        assert printed.count("data: ") > 10
        assert "data: [DONE]" in printed
        assert "HTTP/1.1 404" in printed
        assert "x-request-id:" in printed


@needs_frameworks
async def test_langchain(tmp_path: Path) -> None:
    async with running(tmp_path, "", (SimEngine("a"),)) as live:
        lines = told(await output_of(live.proxy.listen_url, FRAMEWORKS, FOLDER / "chat_langchain.py", "m", "m"))
        assert len(lines["whole"].split()) > 5
        assert len(lines["stream"].split()) > 5
        assert lines["tokens"] == "32"
        assert lines["vectors"].startswith("[")


@needs_frameworks
async def test_llamaindex(tmp_path: Path) -> None:
    async with running(tmp_path, "", (SimEngine("a"),)) as live:
        lines = told(await output_of(live.proxy.listen_url, FRAMEWORKS, FOLDER / "chat_llamaindex.py", "m"))
        assert len(lines["whole"].split()) > 5
        assert len(lines["stream"].split()) > 5
