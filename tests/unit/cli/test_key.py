"""`tidegate key new`."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.config.loader import load_text
from proxy.config.secrets import SecretSource

Capture = pytest.CaptureFixture[str]


def test_what_it_prints_lets_the_key_in(capsys: Capture) -> None:
    assert main(["key", "new", "--tenant", "team-a", "--id", "ci", "--expires", "2027-01-01"]) == 0
    shown = capsys.readouterr().out
    key = shown.split("\n")[0]
    lines = shown[shown.index("tenants:") :]
    assert key not in lines
    text = "version: 1\nauth: keys\nbackends: [{url: http://a}]\n" + lines
    loaded = load_text(text, "f", SecretSource({}, Path("/nowhere")))
    assert loaded.config is not None, loaded.diagnostics
    (entry,) = loaded.config.tenants
    assert entry.tenant == "team-a"
    (found,) = entry.keys
    assert found.digest == "sha256:" + sha256(key.encode()).hexdigest()
    assert (found.id, found.expires) == ("ci", 1798761600.0)


def test_no_two_are_alike_and_each_is_long(capsys: Capture) -> None:
    keys = set()
    for _ in range(20):
        assert main(["key", "new", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["digest"] == "sha256:" + sha256(told["key"].encode()).hexdigest()
        keys.add(told["key"])
    assert len(keys) == 20
    assert all(len(key) >= 43 and key.isascii() and " " not in key for key in keys)


@pytest.mark.parametrize(
    "words",
    [["--tenant", "*"], ["--tenant", "sk-abc"], ["--tenant", "a b"], ["--expires", "soon"], ["--id", "a/b"], ["old"]],
)
def test_usage(words: list[str], capsys: Capture) -> None:
    assert main(["key", "new", *words]) == 2
    assert capsys.readouterr().out == ""
