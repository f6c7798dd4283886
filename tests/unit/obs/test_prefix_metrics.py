"""What the lint found, as series."""

from proxy.obs.labels import Labels
from proxy.obs.prefix_metrics import MOST, prefix_families
from proxy.wire.prompts.lint import PrefixLint

RULES = "\n".join(f"Rule {number} of many" for number in range(50))


def test_the_costliest_are_told_by_name_and_class() -> None:
    lint = PrefixLint()
    for tenant in range(MOST + 5):
        for number in range(4):
            lint.saw(f"{tenant:08x}", "m", "", {"prompt": f"Request {number}\n" + RULES * (1 + tenant % 3)})
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in prefix_families(lint, Labels([f"{tenant:08x}" for tenant in range(MOST + 5)], 99))
        for sample in family.samples
    }
    assert sum(name == "tidegate_prefix_break_tokens" for name, *_ in samples) == MOST
    whose = next(key[1:] for key in samples if key[0] == "tidegate_prefix_break_byte")
    assert whose[2:] == ("the prompt", "counter")
    assert samples["tidegate_prefix_break_byte", *whose] == 8
    assert samples["tidegate_prefix_break_share", *whose] == 0
    assert samples["tidegate_prefix_looked_at_total",] == 4 * (MOST + 5)


def test_tenants_without_an_entry_are_one() -> None:
    lint = PrefixLint()
    for tenant in range(5):
        for number in range(4):
            lint.saw(f"{tenant:08x}", "m", "", {"prompt": f"Request {number}\n" + RULES})
    samples = [sample for family in prefix_families(lint, Labels((), 9)) for sample in family.samples]
    tenants = {sample.labels["tenant"] for sample in samples if sample.labels}
    series = [(sample.name, *sample.labels.values()) for sample in samples]
    assert tenants == {"other"}
    assert len(series) == len(set(series))
