"""What a change of a file means."""

from pathlib import Path
from typing import Any

import pytest

from proxy.config.changes import changes
from proxy.config.loader import load_text
from proxy.config.schema import Config
from proxy.config.secrets import SecretSource

BASE = """\
version: 1
backends:
  - {url: 'http://127.0.0.1:1', name: a, seats: 4}
  - {url: 'http://127.0.0.1:2', name: b, api_key: '${KEY}'}
classes:
  - {name: vip, slo: {ttft: 200ms}}
routing:
  rules:
    - {when: {model: [x]}, class: vip}
    - {when: {model: [y]}, class: bulk}
"""


def config(text: str, **env: str) -> Config:
    loaded = load_text(text, "f", SecretSource({"KEY": "sk-1", **env}, Path()))
    assert loaded.config is not None, loaded.diagnostics
    return loaded.config


def said(new: str, **env: str) -> list[str]:
    return [f"{one.sign} {one.said()}" for one in changes(config(BASE), config(new, **env))]


@pytest.mark.parametrize(
    "new",
    [
        BASE + "# a comment\n",
        BASE + "listen: 127.0.0.1:8080\nretries: {attempts: 3}\n",
        BASE.replace("200ms", "0.2s"),
        BASE.replace("http://127.0.0.1:1'", "http://127.0.0.1:1/v1'"),
        BASE.replace("{url: 'http://127.0.0.1:1', name: a, ", "{name: a, url: 'http://127.0.0.1:1', "),
    ],
)
def test_what_means_the_same_is_no_change(new: str) -> None:
    assert said(new) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seats: 4", "seats: 6", ["~ backends[a].seats: 4 → 6"]),
        (", seats: 4", "", ["~ backends[a].seats: 4 → null"]),
        ("200ms", "1.5s", ["~ classes[vip].slo.ttft: 200ms → 1500ms"]),
        ("127.0.0.1:2", "127.0.0.1:3", ["~ backends[b].url: http://127.0.0.1:2 → http://127.0.0.1:3"]),
        (
            "version: 1",
            "version: 1\nlisten: 127.0.0.1:81",
            ["~ listen: 127.0.0.1:8080 → 127.0.0.1:81   (restart needed)"],
        ),
        ("version: 1", "version: 1\nlimits: {body: {size: 1MiB}}", ["~ limits.body.size: 32MiB → 1MiB"]),
    ],
)
def test_an_option_is_told_with_both_values_in_its_unit(old: str, new: str, expected: list[str]) -> None:
    assert said(BASE.replace(old, new)) == expected


def test_entries_are_told_by_their_names() -> None:
    text = BASE.replace("name: a, seats: 4", "name: c")
    added, removed = sorted(said(text))
    assert added.startswith('+ backends[c]: added: {"url": "http://127.0.0.1:1", "name": "c"')
    assert removed.startswith('- backends[a]: removed: {"url": "http://127.0.0.1:1"')


def test_the_order_of_backends_and_rules_decides_and_is_told() -> None:
    lines = BASE.splitlines()
    lines[2], lines[3] = lines[3], lines[2]
    lines[8], lines[9] = lines[9], lines[8]
    assert said("\n".join(lines)) == [
        "~ backends: in another order: b, a",
        "~ routing.rules: in another order: 1, 0",
    ]


def test_a_rule_that_changes_is_one_that_goes_and_one_that_comes() -> None:
    kinds = [(one.kind, one.path) for one in changes(config(BASE), config(BASE.replace("[y]", "[z]")))]
    assert kinds == [("removed", "routing.rules[1]"), ("added", "routing.rules[1]")]


def test_of_a_secret_that_changes_nothing_is_shown() -> None:
    (line,) = said(BASE, KEY="sk-2")
    assert line == "~ backends[b].api_key: *** → ***"
    (taken,) = said(BASE.replace("${KEY}", "${KEY}").replace(", api_key: '${KEY}'", ""))
    assert taken == "~ backends[b].api_key: *** → null"
    added = said(BASE + "cache: {size: 1MiB, remote: 'redis://127.0.0.1', remote_password: '${KEY}'}\n")
    assert not any("sk-" in one for one in added)


def test_everything_at_once_is_told_in_the_order_of_the_schema() -> None:
    def values(changed: Any) -> list[str]:
        return [one.path for one in changed]

    text = BASE.replace("seats: 4", "seats: 5").replace("200ms", "300ms") + "state: /tmp/x.json\n"
    found = changes(config(BASE), config(text))
    assert values(found) == ["backends[a].seats", "classes[vip].slo.ttft", "state"]
    assert [one.restart for one in found] == [False, False, True]
