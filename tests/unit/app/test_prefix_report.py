"""The flag that an engine lacks is named once it is no accident."""

from types import SimpleNamespace
from typing import Any, cast

from proxy.app.prefix_report import untold_caches
from proxy.engines.registry import DIALECTS
from proxy.live.upstream.backends import Upstream


def backends(*kinds: str) -> dict[str, Upstream]:
    made: Any = {kind: SimpleNamespace(dialect=DIALECTS[kind]) for kind in kinds}
    return cast(dict[str, Upstream], made)


def test_only_engines_with_a_flag_and_only_when_it_is_sure() -> None:
    silent = {"vllm": 8, "sglang": 7, "ollama": 100}
    (one,) = untold_caches(backends("vllm", "sglang", "ollama", "tgi"), silent)
    assert one.endswith("start it with --enable-prompt-tokens-details")
