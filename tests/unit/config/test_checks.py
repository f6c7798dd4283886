"""Rules between options."""

from dataclasses import is_dataclass

import pytest
from pydantic import BaseModel

from proxy.config.backend import BackendOptions
from proxy.config.checks import cross_check
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.plain import read
from proxy.config.schema import Config
from proxy.model.classes import ClassSettings
from proxy.model.limits import Limits
from proxy.model.tenants import TenantSettings


def findings(**options: object) -> list[Finding]:
    """The findings for a configuration whose parts are each valid."""
    backends = options.pop("backends", [{"url": "http://gpu1:8001"}])
    assert isinstance(backends, list)
    groups: dict[str, object] = {}
    for name, field in Config.model_fields.items():
        if not field.is_required():
            default = field.get_default()
            given = options.pop(name, None)
            groups[name] = default if given is None else _built(default, given)
    assert not options
    return list(cross_check(groups, {i: BackendOptions.model_validate(b) for i, b in enumerate(backends)}))


def _built(default: object, given: object) -> object:
    if isinstance(given, tuple) and given and isinstance(given[0], dict):
        return tuple(read(ClassSettings, entry) for entry in given)
    if isinstance(default, BaseModel) and isinstance(given, dict):
        return type(default)(**given)
    return read(type(default), given) if is_dataclass(default) and isinstance(given, dict) else given


def only(**options: object) -> Finding:
    found = findings(**options)
    assert len(found) == 1, found
    return found[0]


def test_the_defaults_break_no_rule() -> None:
    assert findings() == []


def test_one_address_for_two_listeners() -> None:
    assert only(listen="localhost:1", admin="localhost:1").path == ("admin",)
    assert findings(listen="localhost:0", admin="localhost:0") == []


def test_duplicate_names() -> None:
    found = only(backends=[{"url": "http://a", "name": "x"}, {"url": "http://b"}, {"url": "http://c", "name": "x"}])
    assert found.path == ("backends", 2, "name")
    assert found.message == '"x" is the name of backends[0] too'


def test_duplicate_urls_warn_whatever_their_spelling() -> None:
    found = only(backends=[{"url": "http://a"}, {"url": "HTTP://A:80/v1/"}])
    assert (found.path, found.severity) == (("backends", 1, "url"), Severity.WARNING)


def test_an_alias_of_a_model_that_is_not_listed_warns() -> None:
    found = only(backends=[{"url": "http://a", "models": ["qwen3"], "aliases": {"gpt": "qwem3"}}])
    assert (found.path, found.severity) == (("backends", 0, "aliases", "gpt"), Severity.WARNING)
    assert found.hint == 'did you mean "qwen3"?'
    assert findings(backends=[{"url": "http://a", "aliases": {"gpt": "qwem3"}}]) == []


LISTED = {"url": "http://a", "models": ["qwen3"], "aliases": {"gpt": "qwen3"}}


def test_a_default_model_nobody_serves() -> None:
    found = only(backends=[LISTED], routing={"default_model": "qwen"})
    assert found == Finding(("routing", "default_model"), 'no backend serves "qwen"', 'did you mean "qwen3"?')


@pytest.mark.parametrize("model", ["qwen3", "gpt", None])
def test_a_default_model_that_is_served(model: str | None) -> None:
    assert findings(backends=[LISTED], routing={"default_model": model}) == []


@pytest.mark.parametrize("models", ["auto", "any"])
def test_a_default_model_is_believed_when_a_backend_does_not_list(models: str) -> None:
    backends = [LISTED, {"url": "http://b", "models": models}]
    assert findings(backends=backends, routing={"default_model": "other"}) == []


def test_tls_only_with_https() -> None:
    assert only(backends=[{"url": "http://a", "tls": {}}]).path == ("backends", 0, "tls")
    assert findings(backends=[{"url": "https://a", "tls": {"verify": False}}]) == []


@pytest.mark.parametrize("name", ["connect", "first_byte", "idle"])
def test_a_timeout_of_a_backend_is_above_zero(name: str) -> None:
    assert only(backends=[{"url": "http://a", name: "0"}]).path == ("backends", 0, name)
    assert findings(backends=[{"url": "http://a", name: "1ms"}]) == []


@pytest.mark.parametrize(
    ("group", "name", "zero"),
    [("head", "field", "0"), ("body", "size", "0B"), ("upstream", "first_byte", "0s"), ("connections", "idle", "0")],
)
def test_a_limit_that_would_let_nothing_through(group: str, name: str, zero: str) -> None:
    assert only(limits={group: {name: zero}}).path == ("limits", group, name)


@pytest.mark.parametrize(
    ("group", "name"), [("upstream", "keepalive"), ("upstream", "answer_buffer"), ("body", "min_rate")]
)
def test_a_limit_that_may_be_zero(group: str, name: str) -> None:
    assert findings(limits={group: {name: "0"}}) == []


@pytest.mark.parametrize(("low", "fits"), [("65535B", True), ("64KiB", False), ("65537B", False)])
def test_low_is_below_high(low: str, fits: bool) -> None:
    assert (findings(limits={"connections": {"buffer_low": low}}) == []) is fits


@pytest.mark.parametrize(("field", "fits"), [("32767B", True), ("32KiB", True), ("32769B", False)])
def test_a_field_fits_into_the_head(field: str, fits: bool) -> None:
    assert (findings(limits={"head": {"field": field}}) == []) is fits


@pytest.mark.parametrize(("eject", "fits"), [("59s", True), ("1m", True), ("61s", False)])
def test_the_first_ejection_is_not_the_longest(eject: str, fits: bool) -> None:
    assert (findings(health={"eject": eject}) == []) is fits


def test_probing_too_often_warns() -> None:
    found = only(health={"probe_interval": "1999ms"})
    assert (found.path, found.severity) == (("health", "probe_interval"), Severity.WARNING)
    assert findings(health={"probe_interval": "2s"}) == []
    assert only(health={"probe_interval": "0"}).severity is Severity.ERROR


def test_a_kv_budget_written_twice() -> None:
    shape = {"layers": 32, "kv_heads": 8, "head_dim": 128, "memory": "24GiB"}
    found = only(backends=[{"url": "http://a", "kv_tokens": 1000, "kv_cache": shape}])
    assert found.path == ("backends", 0, "kv_tokens")
    assert found.message == "is 1000, while kv_cache gives 196608"
    assert findings(backends=[{"url": "http://a", "kv_cache": shape}]) == []


TWO_POOLS = [
    {"url": "http://a", "pool": "first", "models": ["large", "small"]},
    {"url": "http://b", "pool": "spare", "models": ["small"]},
]


def routed(*models: dict[str, object]) -> dict[str, object]:
    return {"routing": {"models": list(models)}, "backends": TWO_POOLS}


def test_fallbacks_that_lead_somewhere() -> None:
    entry = {"name": "large", "fallback": {"model": "small", "pool": "spare"}}
    assert findings(**routed(entry, {"name": "small", "fallback": {"pool": "first"}})) == []
    told = only(**routed({"name": "gone", "fallback": {"model": "small"}}))
    assert (told.path, told.severity) == (("routing", "models", 0, "name"), Severity.WARNING)
    assert findings(classes=({"name": "bulk", "fallback": {"pool": "spare"}},), backends=TWO_POOLS) == []


@pytest.mark.parametrize(
    ("fallback", "key", "message", "hint"),
    [
        ({"pool": "spaer"}, "pool", 'no backend is in the pool "spaer"', 'did you mean "spare"?'),
        ({"model": "smal"}, "model", 'no backend serves "smal"', 'did you mean "small"?'),
        ({"model": "large", "pool": "spare"}, "model", 'no backend of the pool "spare" serves "large"', "known: small"),
    ],
)
def test_fallbacks_that_lead_nowhere(fallback: dict[str, object], key: str, message: str, hint: str) -> None:
    found = only(**routed({"name": "small", "fallback": fallback}))
    assert (found.path, found.message) == (("routing", "models", 0, "fallback", key), message)
    assert found.hint == hint
    found = only(classes=({"name": "bulk", "fallback": fallback},), backends=TWO_POOLS)
    assert (found.path, found.message) == (("classes", 0, "fallback", key), message)


def test_fallbacks_that_come_back() -> None:
    found = only(**routed({"name": "small", "fallback": {"model": "small"}}))
    assert found.path == ("routing", "models", 0, "fallback", "model")
    assert found.message == 'leads back to where it began: "small" -> "small"'
    both = findings(
        **routed({"name": "large", "fallback": {"model": "small"}}, {"name": "small", "fallback": {"model": "large"}})
    )
    assert [finding.path[2] for finding in both] == [0, 1]
    assert both[0].message == 'leads back to where it began: "large" -> "small" -> "large"'


def test_tenants() -> None:
    def entries(*tenants: dict[str, object]) -> dict[str, object]:
        return {"tenants": tuple(read(TenantSettings, one) for one in tenants), "backends": TWO_POOLS}

    assert findings(**entries({"tenant": "aaaaaaaa"}, {"tenant": "*", "models": ["sm*", "large"]})) == []
    found = only(**entries({"tenant": "aaaaaaaa"}, {"tenant": "aaaaaaaa", "max_concurrent": 1}))
    assert found.path == ("tenants", 1, "tenant")
    found = only(**entries({"tenant": "*", "models": ["large", "smal"]}))
    assert (found.path, found.severity) == (("tenants", 0, "models", 1), Severity.WARNING)
    assert found.hint == 'did you mean "small"?'


def test_bulk_is_shed_before_the_rest() -> None:
    found = only(limits=read(Limits, {"memory": {"shed_bulk": 0.9, "shed": 0.8}}))
    assert found.path == ("limits", "memory", "shed_bulk")


def test_bias_names_classes() -> None:
    found = only(backends=[{"url": "http://a", "bias": {"bulk": 1, "bulkk": 2}}])
    assert (found.path, found.hint) == (("backends", 0, "bias", "bulkk"), 'did you mean "bulk"?')
    assert findings(backends=[{"url": "http://a", "bias": {"chat": 1}}], classes=({"name": "chat"},)) == []


def test_an_order_that_all_have() -> None:
    one, other = {"url": "http://a", "order": 2}, {"url": "http://b", "order": 2}
    found = only(backends=[one, other])
    assert (found.path, found.severity) == (("backends", 0, "order"), Severity.WARNING)
    assert "all backends have the order 2" in found.message
    assert findings(backends=[one, {"url": "http://b"}]) == []
    assert findings(backends=[{"url": "http://a", "order": 0}]) == []


def test_weights_name_tenants() -> None:
    assert only(routing={"fairness": {"weights": {"team-a": 2}}}).path[-1] == "team-a"


def test_tokenizers_of_models_that_nobody_serves() -> None:
    found = only(backends=[LISTED], tokenizers={"qwem3": "t.json", "gpt": "t.json"})
    assert (found.path, found.severity, found.hint) == (
        ("tokenizers", "qwem3"),
        Severity.WARNING,
        'did you mean "qwen3"?',
    )
    assert findings(backends=[{"url": "http://a"}], tokenizers={"any": "t.json"}) == []


def test_a_ca_file_that_is_not_used() -> None:
    found = only(backends=[{"url": "https://a", "tls": {"verify": False, "ca_file": "x"}}])
    assert (found.path[-1], found.severity) == ("ca_file", Severity.WARNING)


def test_a_pool_that_is_kept_leaves_a_first_choice() -> None:
    found = only(classes=({"name": "chat", "fallback": {"pool": "default"}},))
    assert (found.path, found.severity) == (("classes", 0, "fallback", "pool"), Severity.WARNING)
    assert findings(classes=({"name": "chat", "fallback": {"pool": "spare"}},), backends=TWO_POOLS) == []


def test_a_window_that_keeps_everybody_waiting_warns() -> None:
    found = only(classes=({"name": "bulk", "window": {"mode": "fixed", "max_wait": "2s"}},))
    assert (found.path, found.severity) == (("classes", 0, "window", "max_wait"), Severity.WARNING)
    assert findings(classes=({"name": "bulk", "window": {"max_wait": "2s"}},)) == []
    found = only(routing={"windows": [{"endpoint": "score", "mode": "fixed", "max_wait": "10m"}]})
    assert found.path == ("routing", "windows", 0, "max_wait")


def test_log_files_that_are_one_and_one_that_nobody_writes() -> None:
    found = only(log={"file": "/var/log/a.log", "csv": "/var/log/a.log"})
    assert (found.path, found.severity) == (("log", "csv"), Severity.ERROR)
    found = only(log={"file": "/var/log/a.log", "access": False})
    assert (found.path, found.severity) == (("log", "file"), Severity.WARNING)
    assert findings(log={"csv": "/var/log/a.csv", "access": False}) == []


def test_how_prompts_begin_is_told_in_json_alone() -> None:
    found = only(log={"prefixes": True})
    assert (found.path, found.severity) == (("log", "prefixes"), Severity.WARNING)
    assert findings(log={"prefixes": True, "format": "json"}) == []
