"""Options for prompts: what `check` says of patterns that must not be."""

from pathlib import Path

import pytest

from proxy.config.loader import load
from proxy.config.plain import read as read_options
from proxy.model.prompts import ClassPromptSettings

FILE = "version: 1\nbackends: [{url: 'http://127.0.0.1:1'}]\nclasses:\n  - name: chat\n    prompts: {strip: [%s]}\n"


@pytest.mark.parametrize("pattern", ["'^.*'", "''", "'.*'", "'^(a+)+$'", "'^x.*y.*z'", "'^(?=a)'", "7"])
def test_bad_patterns_are_refused_with_their_place(tmp_path: Path, pattern: str) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(FILE % f"billing, {pattern}")
    loaded = load(file, {})
    assert loaded.config is None
    (one,) = loaded.diagnostics
    assert "classes[0].prompts.strip[1]" in str(one)


def test_nothing_written_is_nothing_done() -> None:
    assert ClassPromptSettings().edits() is None
    edits = read_options(ClassPromptSettings, {"strip": ["billing"]}).edits()
    assert edits is not None
    assert edits.strip[0].match("x-anthropic-billing-header: 1")
