"""Which modules are compiled: by rule, so that a new one is never forgotten, and each exception has a reason."""

import re
from pathlib import Path

import pytest

import proxy.live.exchange
from tests.deploy.compiled import compiled_modules, of_setup
from tests.deploy.conftest import CLONE

FLOORS = ["model", "core", "wire", "engines", "live"]


def left_out() -> dict[str, str]:
    """Name → reason."""
    reasons = of_setup()["_LEFT_OUT"]
    return {name: reason for reason, names in reasons.items() for name in names.split()}


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("below", ["", "room/"])
def test_a_new_module_is_compiled(tmp_path: Path, floor: str, below: str) -> None:
    new = tmp_path / f"proxy/{floor}/{below}brand_new.py"
    new.parent.mkdir(parents=True)
    new.touch()
    assert new in compiled_modules(tmp_path)


def test_every_module_of_these_floors_is_compiled_or_left_out_for_a_reason() -> None:
    compiled = {path.relative_to(CLONE / "proxy").with_suffix("") for path in compiled_modules()}
    names = {path.relative_to(CLONE / "proxy").with_suffix("") for floor in FLOORS for path in _sources(floor)}
    assert {str(name) for name in names - compiled if name.name != "__init__"} == left_out().keys() - {"*/__init__"}


def test_what_is_left_out_is_there_and_says_why() -> None:
    for name, reason in left_out().items():
        assert len(reason) > 20, name
        assert name == "*/__init__" or (CLONE / f"proxy/{name}.py").exists(), f"{name} is gone; so is its exception"


def test_what_pydantic_makes_is_all_that_keeps_a_module_of_models_from_being_compiled() -> None:
    for name in (name for name, reason in left_out().items() if "pydantic" in reason):
        text = (CLONE / f"proxy/{name}.py").read_text()
        assert re.search(r"^from (pydantic|proxy\.model\.(limits|units))", text, re.MULTILINE), name


def test_settings_of_which_options_are_made_are_left_out() -> None:
    """Their types and docstrings are read from their source, which the name of a compiled module does not lead to."""
    marked = {path for path in _sources("model") if "from proxy.model.bounds import" in path.read_text()}
    assert not marked & set(compiled_modules())


C_KEYWORDS = frozenset(
    {"_thread", "_asm", "_inline", "_const", "_volatile", "_signed", "_typeof", "_restrict", "_real"}
)
"""Names of attributes that a struct of C cannot have: mypyc writes `_` before each, and gcc has words that begin so."""


def test_no_attribute_is_a_word_of_c() -> None:
    named = re.compile(r"\bself\.(\w+)")
    for path in compiled_modules():
        assert not C_KEYWORDS & set(named.findall(path.read_text())), path


def test_the_installed_build_has_them_all() -> None:
    if not str(proxy.live.exchange.__file__).endswith(".so"):
        pytest.skip("this installation is not compiled")
    built = {path.with_name(path.name.partition(".")[0] + ".py") for path in (CLONE / "proxy").rglob("*.so")}
    assert built == set(compiled_modules())


def _sources(floor: str) -> list[Path]:
    return sorted((CLONE / "proxy" / floor).rglob("*.py"))
