"""A real vLLM server whose model runs in our executor (`vllm_executor.py`) instead of on a GPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.engines import cache
from tests.engines.process import EngineProcess
from tests.support.proxy_process import Metrics

CONTEXT_TOKENS = 2048
SEATS = 4


class VllmServer(EngineProcess):
    """One vLLM. `knobs`: what the executor is told, by the names of its table, `step_ms=20`."""

    kind: ClassVar[str] = "vllm"
    start_within_s: ClassVar[float] = 300.0

    def __init__(self, model: str, *options: str, **knobs: float) -> None:
        super().__init__(model)
        self._options = options
        self._knobs = knobs

    def command(self) -> Sequence[str]:
        program = [str(cache.folder() / "vllm/bin/vllm"), "serve", "./tiny", "--served-model-name", self.model]
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        executor = [
            "--distributed-executor-backend",
            "vllm_executor.CpuExecutor",
            "--enforce-eager",
            "--dtype",
            "float32",
        ]
        sizes = ["--max-model-len", str(CONTEXT_TOKENS), "--block-size", "16", "--max-num-seqs", str(SEATS)]
        return [*program, *where, *executor, *sizes, "--enable-prompt-tokens-details", *self._options]

    def environment(self) -> Mapping[str, str]:
        return {
            "PYTHONPATH": str(Path(__file__).parent),
            "VLLM_TARGET_DEVICE": "cpu",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_SERVER_DEV_MODE": "1",  # has /sleep
            "HF_HUB_OFFLINE": "1",
            **{f"STANDIN_{name.upper()}": str(value) for name, value in self._knobs.items()},
        }

    def cwd(self) -> Path:
        return cache.folder() / "models"

    def jobs(self) -> int:
        metrics = Metrics(self.get("/metrics"))
        return int(metrics.total("vllm:num_requests_running") + metrics.total("vllm:num_requests_waiting"))


TOOLS = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
EMBEDDINGS = ("--runner", "pooling", "--convert", "embed")
