"""The committed files say what the models say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.config import reference
from proxy.config.json_schema import json_schema
from proxy.config.loader import load
from proxy.config.options import X_DEFAULT, Option, all_options, shown
from proxy.config.schema import Config
from proxy.config.tree import parse
from proxy.model.classes import with_built_in
from proxy.model.fallback import FallbackSettings
from proxy.model.rules import RuleSettings
from proxy.model.tenants import ScopeSettings, TenantSettings
from proxy.model.timings import StageSettings
from proxy.model.units import format_duration, format_size, parse_duration_s, parse_size_b
from proxy.model.windows import EndpointWindow, WindowSettings

CONFIG = Path(reference.__file__).parents[2] / "config"
OPTIONS = list(all_options(Config))
LEAVES = [o for o in OPTIONS if not o.group]


def test_the_committed_files_have_not_drifted() -> None:
    assert reference.drifted(CONFIG) == [], "run python -m proxy.config.reference"


def test_drift_is_noticed_and_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "DIRECTORY", tmp_path)
    assert reference.main(["--check"]) == 1
    assert not list(tmp_path.iterdir())
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    (tmp_path / "README.md").write_text("other")
    assert reference.drifted(tmp_path) == ["README.md"]
    assert reference.main(["--check"]) == 1


@pytest.mark.parametrize("name", ["minimal.yaml", "routing.yaml"])
def test_examples_are_right_without_a_warning(name: str) -> None:
    found = load(CONFIG / name, {})
    assert found.diagnostics == []
    assert found.config is not None
    assert (CONFIG / name).read_text().startswith("# yaml-language-server: $schema=./schema.json\n")


def test_the_start_that_the_reference_shows_is_right(tmp_path: Path) -> None:
    shown_there = (CONFIG / "README.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    assert len(shown_there.splitlines()) == 10
    (tmp_path / "routing.yaml").write_text(shown_there)
    assert load(tmp_path / "routing.yaml", {}).diagnostics == []


def test_the_full_example_changes_nothing_but_the_backends() -> None:
    full = load(CONFIG / "routing.yaml", {}).config
    small = load(CONFIG / "minimal.yaml", {}).config
    assert full is not None
    assert small is not None
    assert full.routing.rules == (RuleSettings(),), "an example of every option, which changes nothing"
    assert [entry.fallback for entry in full.routing.models] == [FallbackSettings()], "the same"
    assert full.tenants[0] == TenantSettings(tenant="*", limits=(ScopeSettings(),)), "the same"
    assert [entry.tenant for entry in full.tenants[1:]] == ["team-a"], "whose key is nobody's"
    assert full.routing.windows == (EndpointWindow(endpoint="embeddings"),), "the same"
    assert [entry.window for entry in full.classes] == [WindowSettings()], "the same"
    assert [prompt.name for prompt in full.prompts] == ["support"], "only whoever asks for it gets it"
    assert full.stages == {"retrieval": StageSettings()}, "a name alone"
    assert [slo.name for slo in full.slos] == ["chat"], "it is counted, and changes nothing"
    routing = replace(full.routing, rules=(), models=(), windows=())
    update = {"backends": (), "classes": (), "prompts": (), "slos": (), "tenants": (), "stages": {}}
    assert full.model_copy(update={**update, "routing": routing}) == small.model_copy(
        update={"backends": (), "classes": ()}
    )
    plain = tuple(replace(entry, window=None) for entry in full.classes)
    assert with_built_in(plain) == with_built_in(small.classes)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda o: shown(o.path))
def test_the_full_example_mentions_every_option_with_its_default(option: Option) -> None:
    root = parse((CONFIG / "routing.yaml").read_text()).root
    assert root is not None
    values = list(_written(root.plain(), option.path))
    assert values, "not mentioned"
    if not option.group and not option.field.is_required() and not _computed(option):
        assert _measured(option.default) in [_measured(v) for v in values]


def _written(value: Any, path: tuple[str, ...]) -> list[Any]:
    if not path:
        return [value]
    if path[0] in ("[]", "<name>"):
        items = value.values() if isinstance(value, dict) else value
        return [found for item in items for found in _written(item, path[1:])]
    return _written(value[path[0]], path[1:]) if path[0] in value else []


def _computed(option: Option) -> bool:
    return isinstance(option.field.json_schema_extra, dict) and X_DEFAULT in option.field.json_schema_extra


def _measured(value: object) -> object:
    """1m and 60s are the same default."""
    for parse_one in (parse_duration_s, parse_size_b):
        try:
            return parse_one(value)
        except ValueError:
            continue
    return value


@pytest.mark.parametrize("option", LEAVES, ids=lambda o: shown(o.path))
def test_the_schema_knows_every_option_its_words_and_its_default(option: Option) -> None:
    schema = json_schema()
    node = _resolved(schema, schema)
    for part in option.path:
        inside = {"[]": "items", "<name>": "patternProperties"}.get(part)
        node = node["properties"][part] if inside is None else node[inside]
        node = _resolved(schema, next(iter(node.values())) if part == "<name>" else node)
    assert node["title"]
    assert node["description"]
    if not option.field.is_required() and not _computed(option):
        assert node["default"] == option.default


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node or "anyOf" in node:
        if "$ref" not in node:
            refs = [choice for choice in node["anyOf"] if "$ref" in choice]
            if not refs:
                return node
            node = refs[0]
        node = schema["$defs"][node["$ref"].removeprefix("#/$defs/")]
    return node


def test_defaults_are_written_with_their_unit() -> None:
    properties = json_schema()["$defs"]["HeadLimits"]["properties"]
    assert properties["total"]["default"] == "32KiB"
    assert properties["timeout"]["default"] == "10s"
    assert format_size(32768) == "32KiB"
    assert format_duration(10) == "10s"


def test_the_schema_refuses_unknown_keys_everywhere_and_names_its_dialect() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["version", "backends"]
    for group in (schema, *schema["$defs"].values()):
        assert group["additionalProperties"] is False
    assert "x-default" not in json.dumps(schema)


def test_the_readme_has_a_row_for_every_option() -> None:
    text = reference.readme()
    for option in OPTIONS:
        assert f"| `{option.path[-1]}` | " in text
