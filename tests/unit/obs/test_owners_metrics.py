"""Names and numbers."""

from proxy.model.stored import OwnersView
from proxy.obs.owners_metrics import owners_families


def test_all_of_it() -> None:
    view = OwnersView(7, {"memory": 3, "unanswered": 1}, 5, 2)
    told = {(s.name, *s.labels.values()): s.value for family in owners_families(view) for s in family.samples}
    assert told == {
        ("tidegate_stored_known",): 7.0,
        ("tidegate_stored_lookups_total", "memory"): 3.0,
        ("tidegate_stored_lookups_total", "unanswered"): 1.0,
        ("tidegate_stored_told_total", "told"): 5.0,
        ("tidegate_stored_told_total", "dropped"): 2.0,
    }
