"""Whatever the text: a configuration or diagnostics, never an exception; and no secret in any of them."""

from pathlib import Path

from hypothesis import assume, example, given
from hypothesis import strategies as st

from proxy.config.diagnostics import FORMATS, has_errors, render
from proxy.config.loader import Loaded, load_text
from proxy.config.options import all_options
from proxy.config.schema import Config
from proxy.config.secrets import SecretSource
from proxy.config.source import split_lines

EXAMPLES = [p.read_text("utf-8") for p in sorted((Path(__file__).parents[3] / "config").glob("*.yaml"))]
KEYS = sorted({option.path[-1] for option in all_options(Config)})

scalars = st.sampled_from(
    [
        *(
            "1",
            "0",
            "-1",
            "1.5",
            "true",
            "no",
            "null",
            "~",
            "''",
            "5s",
            "8MiB",
            "auto",
            "any",
            "http://a",
            "${A}",
            "${B}",
        ),
        *("08", "22:22", "&a x", "*a", "!t x", "[", "]", "{", "}", "|", "- x", "# c", '"\\ud800"', "x: y", "\t", "h:1"),
        *("${B}", "<<", "é😀", "?", "---", "...", "%", "@", "\r"),
    ]
)
words = st.sampled_from(KEYS) | scalars
line = st.builds(
    lambda indent, dash, key, value: f"{' ' * indent}{dash}{key}: {value}",
    st.integers(0, 6),
    st.sampled_from(["", "- ", "? "]),
    words,
    words,
)
yamlish = st.lists(line, max_size=12).map("\n".join)


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """A right file with a few characters cut out and others put in."""
    text = draw(st.sampled_from(EXAMPLES))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(words) + text[at + draw(st.integers(0, 20)) :]
    return text


def loaded(text: str, **env: str) -> Loaded:
    return load_text(text, "r.yaml", SecretSource(env, Path("/nowhere")))


@given(st.text(max_size=200) | yamlish | mangled())
@example("\ud800")
@example("a: \x00")
@example("%YAML 9.9\n--- 1")
@example("? ? ? ? a")
@example("[" * 5000)
@example("version: 1\nbackends: &a [*a]\n")
@example("version: 1\nbackends: [{url: http://a, api_key: not a key}]\n")
def test_any_text_is_a_configuration_or_has_diagnostics(text: str) -> None:
    found = loaded(text, A="alpha")
    assert (found.config is None) == has_errors(found.diagnostics)
    count = len(split_lines(text))
    for d in found.diagnostics:
        assert 1 <= d.line <= count + 1
        assert d.column >= 1
        assert d.message
    for shape in FORMATS:
        render(found.diagnostics, shape).encode()


secret = st.text("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=16, max_size=24)
around = st.sampled_from(
    [
        "version: 1\nbackends:\n  - url: http://a\n    api_key: {}\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: '{}'\n    wieght: 3\n",
        'version: 1\nbackends:\n  - url: http://a\n    api_key: "{}\n',
        "version: 1\nbackends:\n  - url: http://a\n    api_key: {}: [\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key:\n      {}\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: |\n      {}\n  x",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: [{}]\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: {{{}: 1, {}: 2}}\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: {} # why\n    api_key: {}\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_kye: {}\n",
        "version: 1\nbackends:\n  - url: http://a\n    API-KEY: {}\n",
        "version: 1\nbackends:\n  - {{url: http://a, api_key: {}, wieght: 3}}\n",
        "version: 1\nbackends:\n  - {{url: http://a, api_key: {}, wieght: 3\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: !!str {}\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: &{} x\n  - url: *{}\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: *{}\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: prefix-${{A}}-{}\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: ${{NOPE:-{}}}\n    kind: x\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: Bearer {}\n",
        "version: 1\nbackends:\n  - url: http://a\n    api_key: 0x_{}\n",
        "version: 1\nbackends:\n  - url: http://me:{}@host\n",
        "version: 1\nbackends:\n  - url: http://me:x/{}@host\n",
        "version: 1\nbackends:\n  - url: me:{}@host\n",
        "version: 1\nbackends:\n  - url: http://a\n    name: sk-{}\n    pool: sk-{}/\n",
        "version: 1\nbackends:\n  - url: http://a\n    token: {}\n\ttab",
    ]
)


@given(around, secret)
def test_a_secret_in_the_file_is_never_shown(template: str, key: str) -> None:
    found = loaded(template.replace("{{", "\0").replace("{}", key).replace("\0", "{").replace("}}", "}"), A="alpha")
    assert found.diagnostics
    for shape in FORMATS:
        assert key not in render(found.diagnostics, shape), template
    assert key not in repr(found) or "sk-" in template


@given(
    st.sampled_from(
        [
            "version: 1\nbackends:\n  - url: http://a\n    api_key: ${KEY}\n",
            "version: 1\nbackends:\n  - url: http://a\n    api_key: ${KEY}\n    kind: x\n",
            "version: 1\nbackends:\n  - url: http://${KEY}\n    api_key: x${KEY} y\n",
            "version: ${KEY}\nbackends: ${KEY}\n",
            "version: 1\nbackends:\n  - url: ${KEY}\n    name: ${KEY}\n    ${KEY}: 1\n    models: [${KEY}]\n",
        ]
    ),
    secret | st.text(min_size=12).filter(str.strip),
)
def test_a_secret_of_the_environment_is_never_shown(text: str, key: str) -> None:
    assume(key not in "".join(render(loaded(text, KEY="x").diagnostics, shape) for shape in FORMATS))
    found = loaded(text, KEY=key)
    shown = repr(found) + "".join(render(found.diagnostics, shape) for shape in FORMATS)
    if found.config:
        shown += found.config.model_dump_json() + str(found.config.model_dump())
    assert key not in shown
