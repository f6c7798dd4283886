"""What is wrong with `store` as a whole."""

from proxy.config.store import store_findings
from proxy.model.store import StoreSettings


def test_one_place_and_files_that_fit() -> None:
    assert not list(store_findings(StoreSettings()))
    assert not list(store_findings(StoreSettings(path="x")))
    assert [one.path for one in store_findings(StoreSettings(path="x", url="http://a"))] == [("store", "url")]
    assert [one.path for one in store_findings(StoreSettings(file=5, size=4))] == [("store", "file")]
