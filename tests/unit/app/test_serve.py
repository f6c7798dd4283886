"""The process around a proxy: whatever ends it is said in the log, and by the exit code."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from proxy.app import serve
from proxy.app.listeners import StartError
from proxy.config.loader import Loaded
from proxy.config.schema import Config

def broken(*_):
    raise {error}

serve.Proxy = broken
config = Config.model_validate(
    {{"version": 1, "backends": [{{"url": "http://a"}}], "log": {{"format": "json"}}}}
)
sys.exit(serve.run(Loaded(config, []), "file", warnings=["a warning"]))
"""


@pytest.mark.parametrize(
    ("error", "level", "has_traceback"),
    [("StartError('no room')", "error", False), ("KeyError('no room')", "critical", True)],
)
def test_an_end_at_the_start(error: str, level: str, has_traceback: bool) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM.format(error=error)], capture_output=True, timeout=30)
    assert ended.returncode == 1
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert lines[0]["message"] == "a warning"
    assert lines[-1]["level"] == level
    assert ("traceback" in lines[-1]) is has_traceback
    assert "no room" in json.dumps(lines[-1])
    assert ended.stdout == b""
