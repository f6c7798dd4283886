"""What stands between load and engine in turn: command lines, configurations, and whether one answers rightly.

Every one has one worker, on the last core of the machine where there are two or more; everything else runs on the
others. No access log where that is the default; ours is written to a file.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.overhead import peers
from tests.benchmarks.recipe import program, until_listed
from tests.support.nginx import PROGRAM as NGINX
from tests.support.nginx import free_port

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
TARGET_CORES, OTHER_CORES = ({CORES[-1]}, set(CORES[:-1])) if len(CORES) > 1 else (set(CORES), set(CORES))

_NGINX = """
daemon off; master_process on; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log error;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
  access_log off; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 300s;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream engine {{ server {host}; keepalive 1024; keepalive_requests 100000000; keepalive_timeout 300s; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    client_max_body_size 64m; client_body_buffer_size 1m;
    location / {{
      proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_buffering off; proxy_read_timeout 600s; proxy_next_upstream off;
    }}
  }}
}}
"""
_TIDEGATE = """
version: 1
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
log: {{file: '{folder}/access.log'}}
backends: [{{url: '{engine}'}}]
{more}
"""
_LITELLM = """
model_list:
  - model_name: mock
    litellm_params: {{model: openai/mock, api_base: '{engine}/v1', api_key: sk-none}}
litellm_settings: {{num_retries: 0, request_timeout: 600, telemetry: false, set_verbose: false}}
router_settings: {{num_retries: 0, disable_cooldowns: true}}
"""
_ROUTER = "--host 127.0.0.1 --port {port} --worker-urls {engine} --prometheus-port {admin} --log-level warn"
_WAITS = "--worker-startup-check-interval 1"


@dataclass(frozen=True)
class Kind:
    """How one is started; words in braces: port, admin (a second one), engine, host (of it), file, folder."""

    command: str
    file: str = ""
    """Its configuration."""
    more: str = ""
    """Of ours: lines of its file."""
    env: Mapping[str, str] = field(default_factory=dict)
    peer: str = ""
    """Its name in `peers`."""


def kinds() -> dict[str, Kind]:
    """All of them, by the name that rows call them."""
    smg, vllm, litellm = (str(peers.folder() / name / "bin" / name) for name in ("smg", "vllm-router", "litellm"))
    token = "classes: [{{name: interactive, stream: {{granularity: token}}}}]"
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    return {
        "nginx": Kind(f"{NGINX} -c {{file}} -e {{folder}}/error.log", _NGINX),
        "tidegate": Kind(f"{program()} serve {{file}}", _TIDEGATE),
        "tidegate, token granularity": Kind(f"{program()} serve {{file}}", _TIDEGATE, token.format()),
        "sglang-router": Kind(
            f"{peers.python('sglang-router')} -m sglang_router.launch_router {_ROUTER} --policy cache_aware {_WAITS}",
            peer="sglang-router",
        ),
        "vllm-router, round robin": Kind(
            f"{vllm} {_ROUTER}ing --policy round_robin {_WAITS}", peer="vllm-router"
        ),
        "vllm-router, cache aware": Kind(
            f"{vllm} {_ROUTER}ing --policy cache_aware {_WAITS}", peer="vllm-router"
        ),
        "smg": Kind(
            f"{smg} launch {_ROUTER} --policy cache_aware --backend vllm {_WAITS} --disable-tokenizer-autoload",
            peer="smg",
        ),
        "litellm": Kind(
            f"{litellm} --config {{file}} --host 127.0.0.1 --port {{port}} --num_workers 1 --telemetry False",
            _LITELLM,
            env={**quiet, "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"},
            peer="litellm",
        ),
    }  # fmt: skip


class Running:
    """One that answers."""

    def __init__(self, name: str, url: str, pid: int) -> None:
        self.name, self.url, self.pid = name, url, pid

    def pids(self) -> list[int]:
        """Its process and all below it."""
        below: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (told := _stat(int(entry.name))):
                below.setdefault(int(told[1]), []).append(int(entry.name))
        found, todo = [], [self.pid]
        while todo:
            found.append(todo.pop())
            todo += below.get(found[-1], [])
        return found

    def cpu_s(self) -> float:
        """User and system seconds of all of it, with what ended."""
        return sum(sum(int(ticks) for ticks in _stat(pid)[11:15]) for pid in self.pids()) * TICK_S

    def memory_mb(self) -> float:
        """Proportional set size: shared pages are counted once."""
        size_kb = 0
        for pid in self.pids():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            size_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return size_kb / 1024


def _stat(pid: int) -> list[str]:
    """Fields behind the name, empty: it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def missing(name: str, kind: Kind) -> str:
    """Why it cannot be measured here; empty: it can."""
    if name == "nginx" and NGINX is None:
        return "no nginx here: apt-get install nginx-light"
    if kind.peer and not peers.version(kind.peer):
        return f"not installed: python -m tests.benchmarks.overhead.peers {kind.peer}"
    return ""


@contextmanager
def running(name: str, kind: Kind, engine: str, folder: Path) -> Iterator[Running]:
    """Started, and it lists the engine's model. SystemExit when it does not."""
    place = folder / name.replace(", ", "-").replace(" ", "-")
    place.mkdir(parents=True, exist_ok=True)
    port = free_port()
    words = {
        "port": port, "admin": free_port(), "engine": engine, "host": engine.removeprefix("http://"),
        "file": place / "configuration.yaml", "folder": place, "more": kind.more,
    }  # fmt: skip
    (place / "configuration.yaml").write_text(kind.file.format(**words))
    with (place / "log").open("wb") as log:
        started = subprocess.Popen(
            kind.command.format(**words).split(),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **kind.env},
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, TARGET_CORES),
        )
        found = Running(name, f"http://127.0.0.1:{port}", started.pid)
        try:
            until_listed(found.url, 1)
            yield found
        finally:
            _end(found, started)


def _end(found: Running, started: "subprocess.Popen[bytes]") -> None:
    pids = found.pids()
    started.terminate()
    try:
        started.wait(10.0)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
    until = time.monotonic() + 3.0
    while time.monotonic() < until and any(_stat(pid) for pid in pids):
        time.sleep(0.05)
    for pid in pids:
        if _stat(pid) and pid != started.pid:
            os.kill(pid, 9)
