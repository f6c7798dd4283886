"""Backends of other files: which are read, where their mistakes are, and what the whole means."""

from pathlib import Path

import pytest

from proxy.config.changes import changes
from proxy.config.diagnostics import Severity
from proxy.config.fragments import MAX_FRAGMENT_NODES, MAX_FRAGMENTS
from proxy.config.loader import Loaded, load
from proxy.config.resolved import resolved

MAIN = "version: 1\ninclude: backends.d/*.yaml\n"
OWN = "backends: [{url: 'http://own', name: own}]\n"


def loaded(folder: Path, main: str = MAIN, **files: str) -> Loaded:
    """The file, and those beside it by the stem of their names."""
    (folder / "backends.d").mkdir(exist_ok=True)
    for stem, text in files.items():
        (folder / "backends.d" / f"{stem}.yaml").write_text(text)
    (folder / "main.yaml").write_text(main)
    return load(folder / "main.yaml", {"KEY": "sk-x"})


def one(name: str, more: str = "") -> str:
    return f"backends:\n  - url: http://{name}\n    name: {name}\n{more}"


def told(folder: Path, found: Loaded) -> list[str]:
    return [
        f"{Path(d.file).relative_to(folder)}:{d.line}:{d.column}: {d.path}: {d.message}"
        for d in found.diagnostics
        if d.severity is Severity.ERROR
    ]


def names(found: Loaded) -> list[str]:
    assert found.config is not None, found.diagnostics
    return [backend.name for backend in found.config.backends]


def test_backends_stand_behind_those_of_the_file_in_the_order_of_names(tmp_path: Path) -> None:
    assert names(loaded(tmp_path, MAIN + OWN, b=one("b"), a=one("a", "  - url: http://c\n    name: c\n"))) == [
        *("own", "a", "c", "b")
    ]
    assert names(loaded(tmp_path)) == ["a", "c", "b"]


def test_what_is_hidden_or_no_file_or_fits_not_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "backends.d").mkdir()
    for name in (".a.yaml", "a.yaml~", "a.txt"):
        (tmp_path / "backends.d" / name).write_text("broken: [")
    (tmp_path / "backends.d" / "x.yaml").mkdir()
    assert names(loaded(tmp_path, b=one("b"))) == ["b"]


def test_a_link_as_config_maps_have_them_is_read(tmp_path: Path) -> None:
    (tmp_path / "backends.d" / "..data").mkdir(parents=True)
    (tmp_path / "backends.d" / "..data" / "a.yaml").write_text(one("a"))
    (tmp_path / "backends.d" / "a.yaml").symlink_to("..data/a.yaml")
    assert names(loaded(tmp_path)) == ["a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (one("b", "    seets: 3\n"), "4:5: backends[0].seets: unknown key"),
        (one("b", "    seats: 0\n"), "4:12: backends[0].seats: must be at least 1"),
        (one("b", "  - {url: 'http://c', name: a}\n"), '4:29: backends[1].name: "a" is the name of backends[1] too'),
        (one("b", "    aliases: {x: 08}\n"), "4:18: backends[0].aliases.x: unquoted 08 is an octal number"),
        (one("b", "routing: {}\n"), "4:1: routing: only backends may stand in an included file"),
        (one("b") + one("c"), "4:1: backends: duplicate key, first on line 1"),
        ("", "1:1: : the file is empty"),
        ("- url: http://b\n", "1:1: : must be a group of options"),
        ("backends: http://b\n", "1:1: backends: must be a list of backends"),
        ("backends:\n  - url: 'http://b\n", "2:10: : the quote (') that opens here is not closed"),
        ("backends: \0", "1:11: : holds the control character U+0000"),
    ],
)
def test_a_mistake_is_told_in_its_own_file(tmp_path: Path, text: str, expected: str) -> None:
    found = loaded(tmp_path, MAIN + OWN, a=one("a"), b=text)
    assert found.config is None
    wrong = told(tmp_path, found)
    assert len(wrong) == 1, wrong
    assert wrong[0].startswith(f"backends.d/b.yaml:{expected}"), wrong


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    main = MAIN + OWN + "routing: {policy: x}\n"
    found = told(tmp_path, loaded(tmp_path, main, a=one("a", "    x: 1\n"), b=one("b", "    y: 1\n")))
    assert [line.partition(": ")[0] for line in found] == [
        *("main.yaml:4:19", "backends.d/a.yaml:4:5", "backends.d/b.yaml:4:5")
    ]


def test_a_secret_in_a_fragment_is_masked(tmp_path: Path) -> None:
    found = loaded(tmp_path, a=one("a", "    api_key: [sk-live-0123456789abcdef]\n"))
    assert found.config is None
    assert "0123456789" not in repr(found.diagnostics)
    right = loaded(tmp_path, a=one("a", "    api_key: ${KEY}\n"))
    assert right.config is not None
    assert right.config.backends[0].api_key is not None


@pytest.mark.parametrize("pattern", ["*.yaml", "a/*/b.yaml", "backends.d/*", "backends.d/*.txt"])
def test_only_yaml_files_of_one_folder_can_be_included(tmp_path: Path, pattern: str) -> None:
    found = told(tmp_path, loaded(tmp_path, f"version: 1\ninclude: {pattern!r}\n{OWN}"))
    assert [line.partition(": include: ")[0] for line in found] == ["main.yaml:2:10"]


def test_no_folder_no_backends_and_too_many_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text(MAIN + OWN)
    assert "backends.d cannot be read: no such file" in told(tmp_path, load(tmp_path / "main.yaml", {}))[0]
    assert [line.partition(" ")[0] for line in told(tmp_path, loaded(tmp_path))] == ["main.yaml:1:1:"]
    assert names(loaded(tmp_path, MAIN + OWN)) == ["own"]
    many = loaded(tmp_path, MAIN + OWN, **{f"f{number}": "" for number in range(MAX_FRAGMENTS + 1)})
    assert told(tmp_path, many) == [
        f"main.yaml:2:10: include: {MAX_FRAGMENTS + 1} files fit, more than {MAX_FRAGMENTS}"
    ]


def test_what_all_of_them_hold_is_bounded(tmp_path: Path) -> None:
    large = "backends:\n" + "".join(f"  - {{url: 'http://b{i}', labels: [a, b, c, d]}}\n" for i in range(1000))
    found = loaded(tmp_path, **{f"f{number}": large for number in range(6)})
    assert any(f"more than {MAX_FRAGMENT_NODES:,} keys" in line for line in told(tmp_path, found))


def test_the_resolved_file_holds_all_and_includes_nothing(tmp_path: Path) -> None:
    both = loaded(tmp_path, MAIN + OWN, a=one("a"))
    assert both.config is not None
    (tmp_path / "flat.yaml").write_text(resolved(both.config))
    flat = load(tmp_path / "flat.yaml", {})
    assert names(flat) == ["own", "a"]
    assert flat.config is not None
    assert [change.path for change in changes(both.config, flat.config)] == ["include"]


def test_another_fragment_is_another_digest_and_a_change_of_a_backend(tmp_path: Path) -> None:
    before = loaded(tmp_path, MAIN + OWN, a=one("a"))
    after = loaded(tmp_path, MAIN + OWN, a=one("a", "    seats: 3\n"))
    assert before.config is not None
    assert after.config is not None
    assert before.digest != after.digest
    assert [change.said() for change in changes(before.config, after.config)] == ["backends[a].seats: null → 3"]
    assert after.included == {tmp_path / "backends.d", tmp_path / "backends.d" / "a.yaml"}
