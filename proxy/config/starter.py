"""The first configuration file of a newcomer: what was found on the machine, and comments that say what else there is.

Owns its text, which is right as it stands. Finds nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from proxy.config.schema import Config

_MAX_MODELS = 6
_MAX_NAME = 64
_EXAMPLES = ("http://127.0.0.1:8001", "http://127.0.0.1:8000", "http://127.0.0.1:8002")


class StarterEngine(NamedTuple):
    """An engine that answers at `url`."""

    url: str
    kind: str | None
    """As `backends[].kind` calls it; None: not told, so anything that speaks the OpenAI API."""
    models: tuple[str, ...]
    state: Literal["ready", "loading", "locked"]
    """`locked`: it wants an API key before it lists anything."""

    @property
    def about(self) -> str:
        """What it is, in a few words of one printable line."""
        kind = self.kind or "OpenAI-compatible"
        if self.state == "loading":
            return f"{kind}, still loading"
        if self.state == "locked":
            return f"{kind}, wants an API key"
        return f"{kind}, serves {_listed(self.models) or 'no model yet'}"


class Machine(NamedTuple):
    """What is there."""

    engines: tuple[StarterEngine, ...]
    proxies: tuple[str, ...]
    """URLs that a Tidegate itself answers at."""
    strangers: tuple[str, ...]
    """URLs where somebody is who did not answer as an engine."""
    listen: str
    """Where clients can connect: the default, or the next that is free."""
    admin: str
    asked: str
    """Where engines were looked for."""


def starter(machine: Machine, name: str) -> str:
    """The file `name`; valid for `tidegate check`."""
    return "\n".join(_lines(machine, _printable(name))) + "\n"


def _lines(machine: Machine, name: str) -> Iterator[str]:
    yield "# Tidegate, written by `tidegate init`. What is commented out is a default or an example."
    yield "#"
    yield f"#   tidegate check {name}    says everything that is wrong with this file"
    yield f"#   tidegate serve {name}    starts the proxy; with defaults alone, `tidegate serve URL` needs no file"
    yield "#   tidegate schema    is every option, for editors; config/README.md of the source lists them as tables"
    yield "#   config/examples of the source has whole files: for a home, a team, Kubernetes, and after other proxies"
    yield ""
    yield "version: 1"
    yield ""
    yield f"# Clients connect here, base_url http://{machine.listen}/v1; 0.0.0.0:PORT lets other machines in."
    yield _option("listen", machine.listen)
    yield "# /livez, /readyz, /metrics and /explain; keep it away from clients."
    yield _option("admin", machine.admin)
    yield ""
    yield "# One entry per engine. Its kind and its models are found out; it may be down when the proxy starts."
    for url in machine.proxies:
        yield f"# {url} is a Tidegate itself, so it is not listed."
    for url in machine.strangers:
        yield f"# {url} did not answer as an engine, so it is not listed."
    yield "backends:"
    yield from _backends(machine)
    yield ""
    yield "# What you promise. Requests that nobody can serve so are held, then refused early with a Retry-After."
    yield "# classes:"
    yield "#   - name: interactive"
    yield "#     slo: chatbot          # first token within 200 ms, then 4 tokens/s; or copilot, completion, batch"
    yield ""
    yield "# One line per request goes to standard output."
    yield "# log:"
    yield "#   format: json            # for machines; default: text"


def _option(name: str, value: str) -> str:
    """Commented out where it is the default."""
    line = f"{name}: {value}"
    return f"# {line}" if value == Config.model_fields[name].default else line


def _backends(machine: Machine) -> Iterator[str]:
    if not machine.engines:
        yield f"  # No engine answered at {machine.asked}: put the URL of yours here."
        yield from _backend(next(url for url in _EXAMPLES if url not in machine.proxies))
    for engine in machine.engines:
        yield f"  # {engine.about}"
        yield from _backend(engine.url)


def _backend(url: str) -> Iterator[str]:
    yield f"  - url: {url}"
    yield "    # api_key: ${ENGINE_API_KEY}   # from the environment, sent instead of the client's own"
    yield "    # max_concurrency: 16          # requests in flight at once; more are held here"


def _listed(models: Sequence[str]) -> str:
    shown = ", ".join(_printable(name) for name in models[:_MAX_MODELS])
    return f"{shown} and {len(models) - _MAX_MODELS} more" if len(models) > _MAX_MODELS else shown


def _printable(name: str) -> str:
    """An engine may list anything: what would end the comment does not reach it."""
    return "".join(c if c.isprintable() else "?" for c in name[:_MAX_NAME])
