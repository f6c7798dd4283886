"""A real `transformers serve`, on the CPU: the plain Hugging Face server, which works on one request at a time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.engines import cache
from tests.engines.process import EngineProcess

MODEL = "tiny"
"""The folder's path as the server sees it, which is the only name that it takes."""


class TransformersServe(EngineProcess):
    """One `transformers serve`. It tells nobody how much it has to do: what its threads do, tells."""

    kind: ClassVar[str] = "transformers"
    start_within_s: ClassVar[float] = 180.0

    def __init__(self, *options: str) -> None:
        super().__init__(MODEL)
        self._options = options

    def command(self) -> Sequence[str]:
        program = [str(cache.folder() / "transformers/bin/transformers"), "serve", self.model]
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [*program, *where, "--device", "cpu", "--dtype", "float32", *self._options]

    def environment(self) -> Mapping[str, str]:
        return {"HF_HUB_OFFLINE": "1"}

    def cwd(self) -> Path:
        return cache.folder() / "models"

    def jobs(self) -> int:
        return min(self.busy_threads(), 1)
