"""What is told of the configuration in place."""

import orjson

from proxy.obs.config_metrics import MAX_ERRORS, ConfigState


def values(state: ConfigState) -> dict[str, float]:
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in state.families()
        for sample in family.samples
    }


def test_the_start_counts_as_loaded() -> None:
    state = ConfigState("routing.yaml", "abc", 100.0)
    told = values(state)
    assert told["tidegate_config_last_reload_successful"] == 1.0
    assert told["tidegate_config_last_reload_timestamp_seconds"] == 100.0
    assert told["tidegate_config_file_info abc"] == 1.0


def test_an_attempt_that_fails_says_why_and_changes_nothing_else() -> None:
    state = ConfigState("routing.yaml", "abc", 100.0)
    state.failed("file", [f"line {n}" for n in range(100)], 200.0)
    told, view = values(state), state.view()
    assert told["tidegate_config_last_reload_successful"] == 0.0
    assert told["tidegate_config_last_reload_timestamp_seconds"] == 100.0
    assert told["tidegate_config_reloads_total file error"] == 1.0
    assert view["last_attempt"]["at"] == 200.0
    assert len(view["last_attempt"]["errors"]) == MAX_ERRORS


def test_one_that_succeeds_is_told_with_what_waits_for_a_restart() -> None:
    state = ConfigState("routing.yaml", "abc", 100.0)
    state.failed("file", ["no"], 200.0)
    state.loaded("SIGHUP", "def", ["listen: a → b"], 300.0)
    told, view = values(state), state.view()
    assert told["tidegate_config_last_reload_successful"] == 1.0
    assert told["tidegate_config_last_reload_timestamp_seconds"] == 300.0
    assert told["tidegate_config_restart_needed"] == 1.0
    assert told["tidegate_config_file_info def"] == 1.0
    assert "tidegate_config_file_info abc" not in told
    assert view["last_attempt"]["errors"] == []
    assert view["reloads"] == {"SIGHUP:ok": 1, "file:error": 1}
    assert orjson.loads(orjson.dumps(view)) == view


def test_what_was_rolled_back_is_no_success() -> None:
    state = ConfigState("routing.yaml", "abc", 100.0)
    state.loaded("admin", "def", [], 200.0)
    state.rolled_back("abc", "errors: 5 of 20", 300.0)
    told = values(state)
    assert told["tidegate_config_last_reload_successful"] == 0.0
    assert told["tidegate_config_file_info abc"] == 1.0
    assert state.view()["last_attempt"]["errors"] == ["errors: 5 of 20"]
