"""`slos` as an operator writes them, right and wrong; and where their file is."""

from pathlib import Path

import pytest

from proxy.config.diagnostics import Severity
from proxy.config.loader import Loaded, load_text
from proxy.config.secrets import SecretSource
from proxy.config.slos import file_of
from proxy.config.surroundings import looking_around

HEAD = """\
version: 1
backends: [{url: http://127.0.0.1:8001, models: [m]}]
classes: [{name: web, slo: {ttft: 300ms}}]
"""
GOOD = {"name": "chat", "class": "web", "objective": "99.5%"}


def loaded(*entries: dict[str, str], more: str = "", here: Path | None = None) -> Loaded:
    written = "".join(f"  - {{{', '.join(f'{key}: {value}' for key, value in entry.items())}}}\n" for entry in entries)
    text = f"{HEAD}{more}slos:\n{written}"
    if here is None:
        return load_text(text, "routing.yaml", SecretSource({}, Path()))
    return load_text(text, "routing.yaml", SecretSource({}, here), looking_around(here, elsewhere=False))


def said(result: Loaded, severity: Severity = Severity.ERROR) -> list[str]:
    return [
        f"{d.path}: {d.message}" + (f"; {d.hint}" if d.hint else "")
        for d in result.diagnostics
        if d.severity is severity
    ]


def test_one_with_everything() -> None:
    result = loaded(
        GOOD | {"model": "m", "tenant": "0123abcd", "window": "7d", "ttft": "300ms", "tpot": "50ms", "e2e": "9s"}
    )
    assert result.diagnostics == []
    assert result.config is not None
    (slo,) = result.config.slos
    assert (slo.name, slo.class_, slo.model, slo.tenant) == ("chat", "web", "m", "0123abcd")
    assert (slo.objective, slo.window, slo.ttft, slo.tpot, slo.e2e) == (0.995, 604800.0, 0.3, 0.05, 9.0)


def test_what_is_not_written() -> None:
    result = loaded(GOOD | {"class": "bulk", "objective": "0.9"})
    assert result.config is not None
    (slo,) = result.config.slos
    assert (slo.objective, slo.window, slo.ttft, slo.tpot, slo.e2e, slo.model, slo.tenant) == (
        0.9,
        2592000.0,
        *[None] * 5,
    )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"class": "wep"}, 'slos[0].class: there is no class "wep"; did you mean "web"?'),
        ({"class": "zzz"}, 'slos[0].class: there is no class "zzz"; known: bulk, interactive, web'),
        ({"objective": "100%"}, "slos[0].objective: must be below 100%: there would be no error budget"),
        ({"objective": "1"}, "slos[0].objective: must be below 100%"),
        ({"objective": "99.5"}, "slos[0].objective: must be a share below 100%; write 99.5%"),
        ({"objective": "150%"}, "slos[0].objective: must be a share below 100%; 99.5% is usual"),
        ({"objective": "0%"}, "slos[0].objective: must be above 0%"),
        ({"objective": "0"}, "slos[0].objective: must be above 0%"),
        ({"objective": "-0.5"}, "slos[0].objective: must be above 0%"),
        ({"objective": "99.99995%"}, "slos[0].objective: must be at most 99.9999%"),
        ({"objective": "most"}, "slos[0].objective: must be a share of the requests"),
        ({"window": "59m"}, "slos[0].window: must be at least 1h"),
        ({"window": "0"}, "slos[0].window: must be at least 1h"),
        ({"window": "93d"}, "slos[0].window: must be at most 92d, a quarter; 30d is usual"),
        ({"ttft": "0"}, "slos[0].ttft: must be above 0: every request would be bad"),
        ({"tpot": "0s"}, "slos[0].tpot: must be above 0"),
        ({"e2e": "0"}, "slos[0].e2e: must be above 0"),
        ({"ttft": "250"}, "slos[0].ttft: 250 has no unit"),
        ({"tenant": '"*"'}, "slos[0].tenant: must name one tenant; leave it out"),
        ({"tenant": "sk-secret"}, "slos[0].tenant: must be a name"),
        ({"name": "a b"}, "slos[0].name: "),
        ({"objektive": "1"}, 'slos[0].objektive: unknown key; did you mean "objective"?'),
    ],
)
def test_what_is_wrong_is_said_kindly(entry: dict[str, str], message: str) -> None:
    result = loaded(GOOD | entry)
    assert result.config is None
    assert any(line.startswith(message) for line in said(result)), said(result)
    assert "sk-secret" not in str(said(result))


@pytest.mark.parametrize("missing", ["name", "class", "objective"])
def test_what_must_be_there(missing: str) -> None:
    result = loaded({key: value for key, value in GOOD.items() if key != missing})
    assert said(result)[0].startswith(f"slos[0].{missing}: is required and missing; ")


def test_two_of_one_name() -> None:
    result = loaded(GOOD, GOOD | {"class": "bulk"})
    assert said(result) == ['slos[1].name: "chat" is the name of slos[0] too; each has its own']


def test_more_than_there_may_be() -> None:
    assert loaded(*(GOOD | {"name": f"s{number}"} for number in range(32))).config is not None
    assert said(loaded(*(GOOD | {"name": f"s{number}"} for number in range(33)))) == ["slos: takes at most 32 entries"]


def test_what_is_odd_is_a_warning() -> None:
    result = loaded(GOOD | {"ttft": "200ms", "model": "n", "objective": "30%"})
    assert result.config is not None
    warned = said(result, Severity.WARNING)
    assert any("sooner than its class promises" in line for line in warned)
    assert any(line.startswith('slos[0].model: no backend serves "n"') for line in warned)
    assert any("more than half may be bad" in line for line in warned)


@pytest.mark.parametrize(
    ("slo_state", "state", "file"),
    [
        ("auto", "off", None),
        ("off", "/x/state.json", None),
        ("auto", "/x/state.json", "/x/state.slo.sqlite"),
        ("auto", "state", "state.slo.sqlite"),
        ("auto", "/x.d/state", "/x.d/state.slo.sqlite"),
        ("auto", "/x/.json", "/x/.json.slo.sqlite"),
        ("/y/z", "off", "/y/z"),
    ],
)
def test_where_the_file_is(slo_state: str, state: str, file: str | None) -> None:
    assert file_of(slo_state, state) == file


def test_a_file_that_cannot_be_is_a_warning(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("somebody else's")
    wrong = {
        tmp_path: "is a directory",
        tmp_path / "no" / "x": "there is no directory",
        other: "the file is not an SLO file of Tidegate, and is left alone",
    }
    for path, message in wrong.items():
        result = loaded(GOOD, more=f"slo_state: {path}\n", here=tmp_path)
        assert result.config is not None
        (warned,) = said(result, Severity.WARNING)
        assert message in warned
    assert loaded(GOOD, more=f"slo_state: {tmp_path / 'new'}\n", here=tmp_path).diagnostics == []
