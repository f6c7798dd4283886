"""What YAML is allowed, and that no text costs more than the bounds."""

import pytest

from proxy.config.tree import MAX_ALIASES, MAX_DEPTH, MAX_NODES, Parsed, Problem, parse


def plain(text: str) -> object:
    parsed = parse(text)
    assert parsed.problems == []
    return parsed.root.plain() if parsed.root else None


def only_problem(text: str) -> Problem:
    parsed = parse(text)
    assert len(parsed.problems) == 1, parsed.problems
    return parsed.problems[0]


def at(problem: Problem) -> tuple[int, int]:
    return problem.position


def test_values_and_positions() -> None:
    parsed = parse("a: 1\nb:\n  - x\n  - {c: 'no'}\n")
    assert parsed.root is not None
    assert parsed.root.plain() == {"a": 1, "b": ["x", {"c": "no"}]}
    b = parsed.root.value["b"]
    assert b.key.start == (2, 1)
    assert b.node.value[0].span.start == (3, 5)
    assert b.node.value[1].value["c"].node.span.start == (4, 9)
    assert parsed.root.size == 9


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\n\n"])
def test_nothing(text: str) -> None:
    assert plain(text) is None


def test_crlf_and_a_document_mark_are_fine() -> None:
    assert plain("---\r\na: 1\r\nb: 2\r\n...\r\n") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1), "duplicate key, first on line 1"),
        ("x:\n  a: 1\n  'a': 3\n", (3, 3), "duplicate key, first on line 2"),
        ("a: !!str 1\n", (1, 4), "tags"),
        ("a: !!python/object/apply:os.system [x]\n", (1, 4), "tags"),
        ("a: ! x\n", (1, 4), "tags"),
        ("!!map {a: 1}\n", (1, 1), "tags"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", (3, 3), "merge keys"),
        ("a: *nowhere\n", (1, 4), "no anchor"),
        ("a: &a [*a]\n", (1, 8), "no anchor"),
        ("a: 1\n---\nb: 2\n", (2, 1), "second document"),
        ("? [a]\n: 1\n", (1, 3), "a key must be plain text"),
        ("? {a: b}\n: 1\n", (1, 3), "a key must be plain text"),
        ("&k a: 1\n", (1, 1), "neither a tag nor an anchor"),
        ("{? : 1}\n", (1, 4), "the key is missing"),
        ('"a\\nb": 1\n', (1, 1), "printable"),
        ("a: no\n", (1, 4), "unquoted no"),
        ("a: [1, 22:22]\n", (1, 8), "base 60"),
        ("a:\n\tb: 1\n", (2, 1), "a tab is used for indentation"),
        ("a: b: c\n", (1, 5), "a colon stands where no key can be"),
        ("a: [1\nb: 2\n", (2, 2), "a comma or a ] is missing"),
        ("a: 'open\n", (1, 4), "the quote that opens here is not closed"),
        ("a: @x\n", (1, 4), "no value can begin like this"),
        ("a: %x\n", (1, 4), "no value can begin like this"),
    ],
)
def test_refused(text: str, where: tuple[int, int], words: str) -> None:
    problem = only_problem(text)
    assert words in problem.message
    assert at(problem) == where


def test_problems_are_collected() -> None:
    parsed = parse("a: no\nb: 08\na: 1\nc: !x y\n")
    assert [p.position.line for p in parsed.problems] == [1, 2, 3, 4]
    assert parsed.root is not None


def test_keys_are_never_surprising() -> None:
    assert plain("n: 1\non: 2\n08: 3\nnull: 4\n") == {"n": 1, "on": 2, "08": 3, "null": 4}


def wide(nodes: int) -> Parsed:
    """A list of scalars with `nodes` nodes, the list and its key and the top included."""
    return parse("a: [" + "x," * (nodes - 3) + "]\n")


@pytest.mark.parametrize(("nodes", "fits"), [(MAX_NODES - 1, True), (MAX_NODES, True), (MAX_NODES + 1, False)])
def test_the_node_bound(nodes: int, fits: bool) -> None:
    parsed = wide(nodes)
    assert (parsed.problems == []) is fits
    if fits:
        assert parsed.root is not None
        assert parsed.root.size == nodes
    else:
        assert "more than 10,000" in parsed.problems[0].message


def nested(depth: int) -> Parsed:
    return parse("[" * depth + "]" * depth)


@pytest.mark.parametrize(("depth", "fits"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, True), (MAX_DEPTH + 2, False)])
def test_the_depth_bound(depth: int, fits: bool) -> None:
    assert (nested(depth).problems == []) is fits


@pytest.mark.parametrize(
    "text", ["[" * 300_000, "{a: " * 100_000, "- " * 100_000, "a: [" + "[" * 100_000 + "]" * 100_000]
)
def test_deep_nesting_is_refused_without_recursion(text: str) -> None:
    assert parse(text).problems


@pytest.mark.parametrize(("aliases", "fits"), [(MAX_ALIASES - 1, True), (MAX_ALIASES, True), (MAX_ALIASES + 1, False)])
def test_the_alias_bound(aliases: int, fits: bool) -> None:
    parsed = parse("a: &x 1\nb: [" + "*x, " * aliases + "]\n")
    assert (parsed.problems == []) is fits


def test_an_alias_stands_for_its_anchor() -> None:
    assert plain("a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}


def test_billion_laughs_stop_at_the_bound() -> None:
    lines = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "more than" in only_problem("\n".join(lines)).message


def test_few_aliases_that_multiply_stop_at_the_bound() -> None:
    lines = ["l0: &l0 [" + "x, " * 60 + "]"]
    lines += [f"l{n}: &l{n} [*l{n - 1}, *l{n - 1}]" for n in range(1, 9)]
    assert "more than 10,000" in only_problem("\n".join(lines)).message


@pytest.mark.parametrize("text", ["a: '\\ud800'", 'a: "\\ud800"', 'a: "\\udfff\\ud800"'])
def test_half_a_surrogate_pair_never_becomes_a_value(text: str) -> None:
    parsed = parse(text)
    value = parsed.root.plain() if parsed.root else None
    str(value).encode()  # raises for a lone surrogate


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("api_key: hunter22\n", 1),
        ("api_kye: hunter22\n", 1),
        ("x: {token: [hunter22]}\n", 1),
        ("password:\n  hunter22\n", 2),
    ],
)
def test_where_secrets_stand_is_known(text: str, line: int) -> None:
    (span,) = parse(text).secrets
    assert span.start.line == line
    assert not parse(text.replace("hunter22", "'${KEY}'")).secrets or "[" in text
