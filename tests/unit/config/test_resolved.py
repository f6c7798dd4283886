"""The effective file."""

from pathlib import Path

import yaml

from proxy.config.changes import changes
from proxy.config.loader import load, load_text
from proxy.config.resolved import resolved
from proxy.config.secrets import SecretSource

EXAMPLES = Path(__file__).parents[3] / "config"


def test_it_means_the_same_as_the_file_it_was_made_of() -> None:
    before = load(EXAMPLES / "routing.yaml", {}, elsewhere=True).config
    assert before is not None
    after = load_text(resolved(before), "resolved", SecretSource({}, Path(), elsewhere=True))
    assert after.config is not None, after.diagnostics
    assert changes(before, after.config) == []


def test_secrets_are_masked_wherever_they_are() -> None:
    text = (
        "version: 1\nbackends: [{url: 'http://127.0.0.1:1', api_key: '${KEY}'}]\n"
        "cache: {size: 1MiB, remote: 'redis://127.0.0.1', remote_password: '${PASSWORD}'}\n"
    )
    made = load_text(text, "f", SecretSource({"KEY": "sk-secret", "PASSWORD": "word-secret"}, Path())).config
    assert made is not None
    told = resolved(made)
    assert "secret" not in told
    tree = yaml.safe_load(told)
    assert (tree["backends"][0]["api_key"], tree["cache"]["remote_password"]) == ("***", "***")
