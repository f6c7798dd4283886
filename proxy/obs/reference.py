"""Writes `deploy/METRICS.md` from the metrics themselves: `python -m proxy.obs.reference [--check]`.

Owns what the families do not say: what labels mean, and which unit a name stands for.
"""

import argparse
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.batch import BatchesView
from proxy.model.cache import CacheView
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.realtime import RealtimeView
from proxy.model.slos import ServiceLevelObjective
from proxy.model.stored import OwnersView
from proxy.obs.config_metrics import ConfigState
from proxy.obs.families import Family, Histograms
from proxy.obs.metrics import Metrics
from proxy.obs.numbers import Numbers
from proxy.obs.process_metrics import Gauges
from proxy.obs.slo.book import SloBook
from proxy.obs.telemetry import Exports
from proxy.wire.prompts.lint import PrefixLint

FILE: Final = Path(__file__).resolve().parents[2] / "deploy" / "METRICS.md"
LABELS: Final = {
    "admission": "`routing.admission.mode` as it is written.",
    "attention": "What computes attention in an engine, as it tells or as is configured.",
    "backend": "A backend's `name`; `none`: no backend was asked; `cache`: the answer was kept here.",
    "by": "What percentiles are of: `class`, `model`, `backend`, `warmth`, `output`, or `all`.",
    "cause": "Why tokens were wasted: `client_gone`, `hedge_lost`, `retry`.",
    "change": "Of fields of requests: `set`, `default` or `drop`, as in `parameters`.",
    "class": "Traffic class, built-in or of `classes`; `none`: it was no job.",
    "config": "First 8 hex digits of the SHA-256 of the configuration, without its secrets.",
    "direction": "Of tokens: `prompt`, `completion`, `cached` (part of prompt), `kept` (of answers from memory). "
    "Of bytes of tunnels: `from_client`, `to_client`.",
    "end_code": "Who ended a request (`C` the client, `U` the engine, `P` the proxy) and in which phase (`R` reading, "
    "`Q` queue, `H` until the engine's head, `S` stream); `--`: nobody, it was served.",
    "end": "How a tunnel ended: `client`, `engine`, `idle`, `life`, `size`, `drain`, `engine_lost`, `client_lost`.",
    "endpoint": "What was asked, such as `chat.completions`; `other`: routes that only pass.",
    "engine": "Kind of engine; empty: it did not tell.",
    "event": "Of the second level of the cache.",
    "found": "Where the backend of a kept response was found: `memory`, `second_level`, `nowhere`; `unanswered`.",
    "gpu": "Kind of card, as is configured.",
    "hardware": "What an engine runs on, as is configured.",
    "hash": "First digits of the SHA-256 of the text of the configuration file.",
    "how": "`merged` into another call, or `shared`: answered by it.",
    "kind": "Of a fault, or of what changes in a prompt: a closed set each.",
    "kv_precision": "Of an engine's KV cache.",
    "log": "`access`, `operational` or `csv`.",
    "measure": "`ttft`, `tpot`, `e2e` or `queue`.",
    "model": "Public name of the model that served, or was to: one of the configuration, or of those that engines "
    "list, up to `metrics.models`; `other`: any other; `none`: none was named.",
    "name": "The value of what percentiles are by: `warmth` is `kept` (the answer was), `prefix` (some of the prompt "
    "at the engine) or `cold`; `output` is `constrained` or `free`.",
    "part": "Of a prompt.",
    "percentile": "`50`, `95` or `99`.",
    "policy": "`routing.policy`.",
    "pool": "Named set of backends.",
    "precision": "Of an engine's weights, as it tells or as is configured.",
    "promise": "`ttft`, `tpot`, `e2e` or `deadline`.",
    "prompt": "A prompt's `name`, or a number for one that has none.",
    "reason": "Why: a closed set each; of refusals see `proxy/obs/README.md`.",
    "result": "How it went: a closed set each, named in the text of the metric.",
    "revision": "Of an engine's weights.",
    "signal": "`spans` or `metrics`.",
    "slo": "The `name` of an objective in `slos`.",
    "source": "Whose fault it was: `downstream`, `internal`, `upstream`.",
    "speculative": "`true`, `false`; empty: not known.",
    "stage": "Of the pipeline: `retrieval`, `rerank`, `prompt_assembly`, `post_process`, those of `stages`, and those "
    "measured here (`queue`, `window`, `prefill`, `decode`, `engine`, `repair`, `total`); `other`: any other.",
    "state": "Of a backend: `healthy`, `ejected`, `probation`, `away`; of batches and their lines: a closed set each.",
    "status": "HTTP status of the answer; `0`: none, `499`: the client left before; `other`: no status that exists.",
    "tenant": "A tenant with an entry in `tenants`, as it is called there; `other`: any other; `none`: no key.",
    "to": "What it was served by instead: `model:NAME`, `pool:NAME` or both.",
    "trigger": "What asked for a configuration to be loaded: `start`, `SIGHUP`, `file`, `admin`, `trial`.",
    "verdict": "`served`, `shed`, `failed`, `cancelled`; of structured answers what was found: `valid`, `mismatch`, …",
    "version": "Of a prompt, of Tidegate, or of an engine.",
    "what": "A closed set each, named in the text of the metric.",
    "window": "`1m` or `5m`: a sliding window, which ends now and is up to 15 s longer; of burn rates `5m` to `3d`, "
    "up to 10 s shorter, above an hour 5 minutes.",
}
"""Of our own metrics; each is a closed set, or capped."""
_UNITS: Final = ("tokens_per_second", "seconds", "bytes", "byte", "tokens", "jobs", "requests", "connections", "lines")
_INTRODUCTION: Final = """\
# Metrics

<!-- Generated by `python -m proxy.obs.reference` from the metrics in proxy/obs: edit those. -->

`GET /metrics` on the admin port: Prometheus' text format, or OpenMetrics 1.0 where `Accept` asks for it; in gzip where
`Accept-Encoding` does. What it all means together: `proxy/obs/README.md`. What has no value has no series, and so have
histograms that counted nothing.
"""


def document() -> str:
    """The whole file."""
    sections: dict[str, list[Family]] = {}
    for when, families in example().sections():
        sections.setdefault(when, []).extend(families)
    tables = [f"## {when}\n\n{_table(families)}" for when, families in sections.items()]
    labels = "\n".join(f"| `{label}` | {_cell(text)} |" for label, text in LABELS.items())
    return "\n".join([_INTRODUCTION, *tables, f"## Labels\n\n| label | what it is |\n|---|---|\n{labels}\n"])


def example() -> Metrics:
    """Metrics of a proxy that has everything, and nothing to do."""
    scheduler = Scheduler(
        [BackendSpec("a")],
        retries=RetrySettings(),
        hold=HoldSettings(),
        health=HealthSettings(),
        rng=random.Random(0),  # noqa: S311 - nobody is sent anywhere
    )
    kept = CacheView(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, {})
    slos = SloBook([ServiceLevelObjective(name="a", class_="interactive", objective=0.99)]).status(0.0)
    gauges = Gauges(
        0,
        0,
        {},
        {},
        cache=kept,
        config=dict.fromkeys(("policy", "admission", "config"), ""),
        slos=slos,
        config_state=ConfigState("", "", 0.0),
        telemetry=Exports(0, {}, {}),
        owners=OwnersView(0, {}, 0, 0),
        batches=BatchesView({}, 0, 0, 0, 0, 0, 0, 0, 0.0, 0, 0, 0, False, None),
        realtime=RealtimeView(0, 0, 0, 0, {}, {}),
    )
    return Metrics(scheduler, lambda: gauges, lambda: 1.0, PrefixLint())


def labels_of(family: Family) -> tuple[str, ...]:
    """Names of the labels that its samples have."""
    if isinstance(family, Histograms | Numbers):
        return family.labels
    return tuple(getattr(family, "_labelnames", ()))


def main(argv: list[str] | None = None) -> int:
    """Write the file, or with --check say whether it is out of date."""
    parser = argparse.ArgumentParser(prog="python -m proxy.obs.reference", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is out of date")
    is_stale = not FILE.is_file() or FILE.read_text(encoding="utf-8") != document()
    if parser.parse_args(argv).check:
        if is_stale:
            print("deploy/METRICS.md is out of date: run python -m proxy.obs.reference")
        return int(is_stale)
    if is_stale:
        FILE.write_text(document(), encoding="utf-8")
        print("deploy/METRICS.md written")
    return 0


def _table(families: Iterable[Family]) -> str:
    rows = "\n".join(_row(family) for family in families)
    return f"| metric | type | unit | labels | what it is |\n|---|---|---|---|---|\n{rows}\n"


def _row(family: Family) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = ", ".join(f"`{label}`" for label in labels_of(family)) or "-"
    return f"| `{name}` | {family.type} | {_unit(family.name)} | {labels} | {_cell(family.documentation)} |"


def _unit(name: str) -> str:
    return next((unit for unit in _UNITS if name.endswith(f"_{unit}")), "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
