"""`tidegate serve`: one proxy in a process of its own: logs, signals and limits, from the start to the exit code."""

import asyncio
import gc
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any

import uvloop

from proxy.app import descriptors, signals
from proxy.app.config_file import ConfigFile
from proxy.app.config_life import ConfigLife
from proxy.app.listeners import StartError
from proxy.app.membership import Membership
from proxy.app.notify import Notifier
from proxy.app.proxy import Proxy
from proxy.config.loader import Loaded
from proxy.config.schema import Config
from proxy.live.background import address_space, memory
from proxy.obs.config_metrics import ConfigState
from proxy.obs.logs import Files, Logs

_log = logging.getLogger("tidegate")
_COLLECTED_AT = (10_000, 5, 10)
"""Seldom is enough, since requests leave no cycles; and no look may last long: 10,000 objects take 0.4 ms, five times
as many 2 ms. As Python has it (700, 10, 10) what is being answered is looked at again and again."""


def run(loaded: Loaded, source: str, overrides: Mapping[str, Any] | None = None, warnings: Sequence[str] = ()) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0 drained, 1 not started, 130 or 143 after a second signal.
    `loaded`: right; `source`: the file that it was read from; `overrides`: with which it is read from there again,
    None: it is not."""
    config = loaded.config
    assert config is not None
    file = None if overrides is None else ConfigFile(Path(source), os.environ, overrides)
    signals.survive()
    address_space.be_frugal()
    memory.return_large_blocks()
    logs = Logs(config.log.level, config.log.format, log_files(config))
    for warning in warnings:
        _log.warning("%s", warning)
    try:
        check_descriptors(config)
        return uvloop.run(_serve(loaded, source, file, logs))
    except StartError as error:
        _log.error("%s", error)
        return 1
    except Exception:  # noqa: BLE001 - the last line: said in the log's own form while there is a log
        _log.critical("the process ends; this is a bug, please report it", exc_info=True)
        return 1
    finally:
        logs.close()


def refuse(lines: Sequence[str]) -> None:
    """Why nothing is started, as JSON lines."""
    logs = Logs("info", "json")
    for line in lines:
        _log.error("%s", line)
    logs.close()


async def _serve(loaded: Loaded, source: str, file: ConfigFile | None, logs: Logs) -> int:
    assert loaded.config is not None
    notifier = Notifier.of_environment()
    state = ConfigState(source, loaded.digest, time())
    members = Membership()
    await members.learn(loaded.config)
    proxy = Proxy(members.in_config(loaded.config), loaded.rule_lines, logs, state)
    life = ConfigLife(proxy, file, loaded, state, members)
    asked = signals.Signals(
        asyncio.get_running_loop(), proxy.hurry, lambda: life.reloader.ask_soon("SIGHUP"), logs.reopen
    )
    life.begin()
    await proxy.start()
    life.started()
    gc.collect()
    gc.freeze()  # what the start left will never be garbage: a full collection need not look at it
    gc.set_threshold(*_COLLECTED_AT)
    for line in proxy.banner(source):
        logs.say(line)
    notifier.ready(f"listening on {proxy.listen_url}")
    await asked.stopping.wait()
    await life.close()
    outlook = proxy.draining()
    _log.info("%s", outlook)
    notifier.stopping(outlook)
    how = await proxy.stop()
    _log.info("%s", how)
    notifier.status(how)
    return asked.exit_code


def log_files(config: Config) -> Files:
    """Logs that are files."""
    log = config.log
    return Files(log.file or "", log.csv or "", log.rotate, log.keep)


def check_descriptors(config: Config) -> None:
    """The limit is raised as far as it may be; what that is too little for is said."""
    wanted, backends = config.limits.connections.max, len(config.backends)
    others = descriptors.of_second_level(config.cache)
    limit = descriptors.raise_limit(descriptors.needed(wanted, backends, others))
    if limit < descriptors.LEAST:
        raise StartError(f"This process may open {limit} files; at least {descriptors.LEAST} are needed (`ulimit -n`).")
    clients = descriptors.shared(limit, wanted, backends, others).clients
    if clients < wanted:
        _log.warning(
            "this process may open %d files: at most %d client connections at once instead of %d; for these allow %d"
            " (`ulimit -n`, LimitNOFILE)",
            limit,
            clients,
            wanted,
            descriptors.needed(wanted, backends, others),
        )
