"""What the READMEs of the tree name is there."""

import re
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]
NAMES = re.compile(r"`([a-z_/]+\.py)`")


def named() -> list[str]:
    return sorted(set(NAMES.findall((CLONE / "proxy" / "README.md").read_text())))


@pytest.mark.parametrize("name", named())
def test_a_file_that_is_named_is_there(name: str) -> None:
    found = [path for path in (CLONE / "proxy").rglob(Path(name).name) if path.as_posix().endswith(f"/{name}")]
    assert found, name


def test_folders_of_the_tests_are_all_explained() -> None:
    text = (CLONE / "tests" / "README.md").read_text()
    folders = {
        path.name for path in (CLONE / "tests").iterdir() if path.is_dir() and not path.name.startswith(("_", "."))
    }
    assert sorted(folder for folder in folders - {"support"} if f"| `{folder}/` |" not in text) == []


def documents() -> list[Path]:
    hidden = (".venv", "build", "node_modules")
    return [path for path in CLONE.rglob("*.md") if not any(part in hidden for part in path.relative_to(CLONE).parts)]


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_documents_lead_somewhere() -> None:
    assert len(documents()) > 50
    wrong = []
    for path in documents():
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            name, _, anchor = link.partition("#")
            target = path.parent / name if name else path
            if name.startswith(("http:", "https:")):
                continue
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
                wrong.append(f"{path.relative_to(CLONE)}: {link}")
    assert wrong == []


def test_no_merge_was_left_half_done() -> None:
    folders = (CLONE, CLONE / "proxy", CLONE / "proxy" / "decisions", CLONE / "tests", CLONE / "config")
    texts = [path for folder in folders for path in folder.glob("*.md")]
    assert len(texts) > 10
    assert [path.name for path in texts if re.search(r"^(<<<<<<<|>>>>>>>) ", path.read_text(), re.MULTILINE)] == []
