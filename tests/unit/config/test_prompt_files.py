"""Files of named prompts: their forms, what they include, and every way in which one is no prompt."""

from pathlib import Path

import pytest

from proxy.config.loader import load
from proxy.config.plain import read as read_options
from proxy.config.prompt_files import MAX_B, PromptFileError, read_prompt
from proxy.model.prompts import PromptSettings
from proxy.wire.prompts.template import Template

FILE = "version: 1\nbackends: [{url: 'http://127.0.0.1:1'}]\nprompts: [{name: support, versions: [%s]}]\n"


def read(path: Path, text: str | bytes, name: str = "p.md") -> Template:
    file = path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    prompt = read_options(
        PromptSettings, {"name": "support", "versions": ({"version": "3", "file": str(file)},), "history": 100}
    )
    return read_prompt(prompt, prompt.versions[0])


def test_text_is_the_systems_prompt(tmp_path: Path) -> None:
    template = read(tmp_path, "\ufeffBe kind to {{who}}.\n")
    assert template.filled({"who": "Ann"}).system == "Be kind to Ann."
    assert (template.label, template.history, template.variables) == ("support@3", 100, ("who",))


@pytest.mark.parametrize("name", ["p.yaml", "p.json", "p.YML"])
def test_structured_ones_have_examples_and_tools(tmp_path: Path, name: str) -> None:
    text = '{"system": "S {{a}}", "messages": [{"role": "user", "content": "q {{a}}"}], "tools": [{"name": "t"}]}'
    filled = read(tmp_path, text, name).filled({"a": "1"})
    assert (filled.system, filled.messages, filled.tools) == (
        "S 1",
        [{"role": "user", "content": "q 1"}],
        (b'{"name":"t"}',),
    )


def test_files_are_included_relative_to_the_including_one(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "rules.md").write_text("Rules: {{> more.md }}")
    (tmp_path / "parts" / "more.md").write_text("none")
    assert read(tmp_path, "A {{> parts/rules.md}} B {{>parts/more.md}}").filled({}).system == "A Rules: none B none"


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("me: {{> p.md}}", "p.md", "p.md includes itself"),
        ("{{> ./sub/../p.md}}", "p.md", "p.md includes itself"),
        ("{{> other.md}}", "p.md", "p.md includes itself"),
        ("{{> nowhere.md}}", "p.md", "no file nowhere.md"),
        ("{{> bomb.md}}", "p.md", "larger than 1 MiB"),
        ("{{> chain0.md}}", "p.md", "more than 8 deep"),
        ("a\n{{ b", "p.md", "line 2"),
        (b"\xff\xfe", "p.md", "UTF-8"),
        ("x" * (MAX_B + 1), "p.md", "larger than 1 MiB"),
        ("[1]", "p.yaml", "must have system"),
        ("", "p.yaml", "must have system"),
        ("system: 7", "p.yaml", "system must be text"),
        ("other: x", "p.yaml", "must have system"),
        ("messages: [{role: system, content: x}]", "p.yaml", "messages must be"),
        ("tools: [7]", "p.yaml", "tools must be"),
        ("a: [", "p.yaml", "line 1"),
    ],
)
def test_what_is_no_prompt(tmp_path: Path, text: str | bytes, name: str, words: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "other.md").write_text("{{> p.md}}")
    (tmp_path / "bomb.md").write_text("{{> big.md}}" * 2000)
    (tmp_path / "big.md").write_text("x" * 10_000)
    for number in range(12):
        (tmp_path / f"chain{number}.md").write_text(f"{{{{> chain{number + 1}.md}}}}")
    with pytest.raises(PromptFileError, match=words):
        read(tmp_path, text, name)


def test_check_says_where_and_files_are_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("x")
    (tmp_path / "loop.md").write_text("{{> loop.md}}")
    file = tmp_path / "routing.yaml"
    file.write_text(FILE % "{version: 3, file: good.md}, {version: 4, file: loop.md}, {version: 5, file: no.md}")
    told = [str(one) for one in load(file, {}).diagnostics]
    assert len(told) == 2
    assert "prompts[0].versions[1].file" in told[0]
    assert "loop.md includes itself" in told[0]
    assert "there is no file no.md" in told[1]
    file.write_text(FILE % "{version: 3, file: good.md}")
    config = load(file, {}).config
    assert config is not None
    assert config.prompts[0].versions[0].version == "3"


@pytest.mark.parametrize(
    "versions",
    [
        "{version: 1, file: good.md, weight: 0}",
        "{version: 1, file: good.md}, {version: '1', file: good.md}",
        "{version: 'a b', file: good.md}",
        "{version: true, file: good.md}",
        "",
    ],
)
def test_versions_that_cannot_be(tmp_path: Path, versions: str) -> None:
    (tmp_path / "good.md").write_text("x")
    file = tmp_path / "routing.yaml"
    file.write_text(FILE % versions)
    assert load(file, {}).config is None
