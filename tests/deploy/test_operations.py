"""Every way in which the proxy itself ends a request is in deploy/ERRORS.md, with its status, and nothing else is."""

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from proxy.core.route.limits import LIMITS
from proxy.model.endpoint import Api
from proxy.model.faults import Fault, Kind, Source
from proxy.model.outcome import SERVED, UNFINISHED, Phase, failed_with
from proxy.wire import errors

CLONE = Path(__file__).parents[2]
DEPLOY = CLONE / "deploy"
FAULTS_IN = ("core", "live", "wire", "app")
ROW = re.compile(r"^\| `([a-z_-]+|[-CUPRQHS]{2})` \| ([^|]*) \|", re.MULTILINE)
UNTOLD = {Kind.LEFT, Kind.WRITE_STALL}
"""Whose client is gone."""
INVENTED_BY_HAND = {"tls_required": (400, 400)}
"""Said by the listener, before there is any HTTP."""


def table(heading: str) -> dict[str, str]:
    text = (DEPLOY / "ERRORS.md").read_text().partition(f"## By {heading}")[2].partition("\n## ")[0]
    rows = ROW.findall(text)
    assert len(rows) == len({name for name, _ in rows}), "each once"
    return dict(rows)


def said_of(kind: Kind, code: str | None) -> tuple[int, int]:
    """Statuses of a fault, for OpenAI's and Anthropic's clients."""
    fault = Fault(Source.INTERNAL, kind, "", code=code)
    return errors.answer(fault).status, errors.answer(fault, Api.MESSAGES).status


def modules() -> Iterator[tuple[ast.Module, ModuleType]]:
    for folder in FAULTS_IN:
        for path in sorted((CLONE / "proxy" / folder).rglob("*.py")):
            text = path.read_text()
            if ("code" in text and "Kind" in text) or "invalid(" in text:
                name = ".".join(path.relative_to(CLONE).with_suffix("").parts)
                yield ast.parse(text), importlib.import_module(name)


def words(node: ast.expr, module: ModuleType, tree: ast.Module) -> set[str]:
    """What an expression for a code can be."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.IfExp):
        return words(node.body, module, tree) | words(node.orelse, module, tree)
    if isinstance(node, ast.JoinedStr):
        first = node.values[0]
        assert isinstance(first, ast.Constant)
        assert first.value == "overloaded_", "a code made of what?"
        return {f"overloaded_{limit.reason}" for limit in LIMITS}
    if isinstance(node, ast.Name):
        known = getattr(module, node.id, None)
        if isinstance(known, str):
            return {known}
        given = [
            assign.value
            for assign in ast.walk(tree)
            if isinstance(assign, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == node.id for t in assign.targets)
        ]
        return {word for value in given if isinstance(value, ast.IfExp) for word in words(value, module, tree)}
    return set()


def told_in(tree: ast.Module, module: ModuleType) -> Iterator[tuple[Kind, str]]:
    """Codes of its own that a module gives to a fault."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        kinds = [
            Kind[arg.attr]
            for arg in call.args
            if isinstance(arg, ast.Attribute) and isinstance(arg.value, ast.Name) and arg.value.id == "Kind"
        ]
        given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
        if name == "invalid":
            kinds, given = [Kind.INVALID], [*given, *call.args[2:3]]
        if kinds:
            yield from ((kinds[0], word) for value in given for word in words(value, module, tree))


def codes() -> dict[str, set[tuple[int, int]]]:
    found: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for code, statuses in INVENTED_BY_HAND.items():
        found[code].add(statuses)
    for kind in set(Kind) - UNTOLD:
        code = errors.shape_of(Fault(Source.INTERNAL, kind, "")).code
        if code is not None:
            found[code].add(said_of(kind, None))
    for tree, module in modules():
        for kind, code in told_in(tree, module):
            found[code].add(said_of(kind, code))
    return found


def test_each_code_is_in_the_table_with_its_status_and_no_other_is() -> None:
    told = {
        code: {f"{status}" if status == messages else f"{status} ({messages})" for status, messages in statuses}
        for code, statuses in codes().items()
    }
    assert {"insufficient_quota", "prompt_not_found", "answer_not_found", "overloaded_kv"} <= told.keys(), "it looks"
    assert {code: {status} for code, status in table("code").items()} == told


def test_codes_that_are_written_as_bytes_are_known() -> None:
    written = {
        code
        for path in (CLONE / "proxy").rglob("*.py")
        for code in re.findall(r'"code":"([a-z_]+)"', path.read_text())
        if "sim" not in path.parts
    }
    assert written == set(INVENTED_BY_HAND)


def test_each_status_without_a_code_is_there() -> None:
    bare = {
        errors.shape_of(fault).status
        for kind in set(Kind) - UNTOLD
        if errors.shape_of(fault := Fault(Source.INTERNAL, kind, "")).code is None
    }
    text = (DEPLOY / "ERRORS.md").read_text().partition("Without a code")[2]
    assert {int(status) for status in re.findall(r"^\| ([0-9]{3}) \|", text, re.MULTILINE)} == bare


def test_each_end_code_is_there() -> None:
    possible = {SERVED.end_code, UNFINISHED.end_code}
    for source in Source:
        for phase in Phase:
            possible.add(failed_with(Fault(source, Kind.BUG, ""), phase).end_code)
            possible.add(failed_with(Fault(source, Kind.LEFT, ""), phase).end_code)
    assert set(table("end-code")) == possible - {"UR"}, "no engine has a part in a request that is being read"
