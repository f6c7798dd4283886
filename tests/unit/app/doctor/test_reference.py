"""The table of findings is that of the code, and an id is one finding's alone."""

from proxy.app.doctor import reference, rules
from proxy.app.doctor.finding import Rule
from proxy.app.doctor.front import rules as front_rules
from proxy.engines.registry import DIALECTS
from proxy.engines.trap import trap_id


def test_the_file_is_up_to_date() -> None:
    assert reference.main(["--check"]) == 0


def test_every_rule_is_in_it_and_has_an_id_of_its_own() -> None:
    written = [one for module in (rules, front_rules) for one in vars(module).values() if isinstance(one, Rule)]
    assert sorted(written) == sorted(rule for _, group in reference.GROUPS for rule in group)
    traps = [trap_id(kind, trap.name) for kind, dialect in DIALECTS.items() for trap in dialect.traps]
    ids = [rule.id for rule in written] + traps
    assert len(set(ids)) == len(ids) > 60
    assert all(f"| `{one}` |" in reference.document() for one in ids)


def test_whatever_is_wrong_says_what_to_do() -> None:
    for _, group in reference.GROUPS:
        assert all(rule.do for rule in group if rule.severity != "note")
    assert all(trap.do and trap.what for dialect in DIALECTS.values() for trap in dialect.traps)
