"""Constructors that are written out, since those that `dataclass` makes stay interpreted: each names every field once,
with the field's own type and default."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy

ROOT = Path(proxy.__file__).parent


def written_out() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any("init=False" in ast.unparse(one) for one in node.decorator_list):
                yield f"{path.relative_to(ROOT)}:{node.name}", node


CLASSES = dict(written_out())


def test_they_are_found() -> None:
    assert {"model/request.py:Job", "wire/headers.py:Head"} <= CLASSES.keys()


@pytest.mark.parametrize("name", CLASSES)
def test_a_constructor_takes_and_keeps_every_field(name: str) -> None:
    node = CLASSES[name]
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
    (init,) = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
    arguments = init.args
    positional = arguments.args[1:]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults + arguments.kw_defaults
    taken = [
        (argument.arg, _shown(argument.annotation), _shown(default))
        for argument, default in zip(positional + arguments.kwonlyargs, defaults, strict=True)
    ]
    assert taken == [(_shown(one.target), _shown(one.annotation), _shown(one.value)) for one in fields]
    assert [ast.unparse(one) for one in init.body] == [f"self.{name} = {name}" for name, _, _ in taken]


def _shown(node: ast.AST | None) -> str:
    return "" if node is None else ast.unparse(node)
