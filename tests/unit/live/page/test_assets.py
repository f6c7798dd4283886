"""The page as one answer: nothing from elsewhere, no inline handlers, small, and a policy that names what may run."""

import base64
import gzip
import re
import tomllib
from hashlib import sha256
from pathlib import Path

from proxy.live.page import assets
from proxy.live.page.assets import EARLY, LIBRARY, SCRIPTS, STYLES, page

MARKUP = page().plain.decode()
FOLDER = Path(assets.__file__).parent / "static"


def test_it_is_whole_and_small() -> None:
    assert len(page().plain) <= 250 * 1024
    assert len(page().packed) <= 64 * 1024
    assert gzip.decompress(page().packed) == page().plain
    assert not {"/*EARLY*/", "/*STYLE*/", "/*SCRIPT*/"} & set(re.findall(r"/\*[A-Z]+\*/", MARKUP))


def test_nothing_comes_from_elsewhere() -> None:
    tags = re.findall(r"<(?:script|link|img|iframe|source|object)\b[^>]*>", MARKUP)
    assert [tag for tag in tags if re.search(r"(?:src|href)=(?![\"']?data:)", tag)] == []
    assert "@import" not in MARKUP
    assert "url(http" not in MARKUP


def test_no_inline_handlers_or_styles() -> None:
    markup = re.sub(r"<(script|style)>.*?</\1>", "", MARKUP, flags=re.DOTALL)
    assert re.findall(r"<[^>]*\s(?:on\w+|style)=[^>]*>", markup) == []
    assert "javascript:" not in markup


def test_the_policy_names_exactly_what_is_there() -> None:
    policy = dict(page().headers)[b"content-security-policy"].decode()
    for tag, parts in (("script", 2), ("style", 1)):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", MARKUP, flags=re.DOTALL)
        assert len(texts) == parts
        digests = (base64.b64encode(sha256(text.encode()).digest()).decode() for text in texts)
        assert f"{tag}-src {' '.join(f'{chr(39)}sha256-{digest}{chr(39)}' for digest in digests)};" in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_no_script_writes_markup() -> None:
    """Names of models, tenants and backends are others' words: they become text, never markup."""
    for name in (*EARLY, *SCRIPTS):
        text = (FOLDER / name).read_text()
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"):
            assert way not in text, (name, way)


def test_an_installation_has_all_of_it() -> None:
    """Wheels and images hold what is package data; `tests/deploy/test_wheel.py` builds one."""
    told = tomllib.loads((FOLDER.parents[3] / "pyproject.toml").read_text())
    package = FOLDER.parents[2]
    data = {found for glob in told["tool"]["setuptools"]["package-data"]["proxy"] for found in package.glob(glob)}
    assert set(FOLDER.iterdir()) <= data
    assert {FOLDER / name for name in (*EARLY, LIBRARY, *SCRIPTS, *STYLES, "index.html")} <= data


def test_the_library_has_its_licence() -> None:
    assert "MIT License" in (FOLDER / "uPlot.LICENSE").read_text()
    assert "(v1.6.32)" in (FOLDER / LIBRARY).read_text()[:100]
    assert "uPlot" in MARKUP[: MARKUP.index("<body")], "the licence is named in the page itself"
    assert STYLES[0] == "uPlot.min.css"
