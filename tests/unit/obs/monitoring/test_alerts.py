"""The file of rules; when each fires is played in `tests/deploy/test_alerts.py`."""

import yaml

from proxy.obs.monitoring.alerts import alerts, rules


def test_a_rule_has_what_people_need_to_act() -> None:
    (group,) = yaml.safe_load(rules())["groups"]
    assert [rule["alert"] for rule in group["rules"]] == [one.name for one in alerts()]
    for rule in group["rules"]:
        assert rule["for"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description", "guide"}
        assert rule["annotations"]["guide"].startswith("deploy/README.md#")


def test_names_are_unique_and_say_whose_they_are() -> None:
    names = [one.name for one in alerts()]
    assert len(set(names)) == len(names)
    assert all(name.startswith("Tidegate") for name in names)


def test_objectives_have_their_alerts_elsewhere() -> None:
    assert all("tidegate_slo_" not in one.expr for one in alerts())
