"""How values are written whose types do not say it."""

import re

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.config.written import WRITTEN
from proxy.core.route.policies import POLICIES
from proxy.model.bounds import Form


def adapter(form: Form) -> TypeAdapter[object]:
    return TypeAdapter(WRITTEN[form])


def test_every_form_is_read() -> None:
    assert set(WRITTEN) == set(Form)


@pytest.mark.parametrize(
    ("form", "written", "value"),
    [
        (Form.DURATION, "250ms", 0.25),
        (Form.SIZE, "8MiB", 8 << 20),
        (Form.PERCENT, "2.5%", 0.025),
        (Form.DELAY, "p95", "p95"),
        (Form.DELAY, "300ms", "300ms"),
        (Form.TENANT, "0123abcd", "0123abcd"),
        (Form.TENANT, "*", "*"),
        (Form.TENANT, "Team-A", "Team-A"),
        (Form.DIGEST, "sha256:" + "a" * 64, "sha256:" + "a" * 64),
        (Form.DIGEST, "sha256:" + "0" * 64, "sha256:" + "0" * 64),
        (Form.MOMENT, "2027-01-01", 1798761600.0),
        (Form.MOMENT, "2027-01-01T01:00:00Z", 1798765200.0),
        (Form.NETWORK, "10.0.0.0/8", "10.0.0.0/8"),
        (Form.NETWORK, "::1", "::1"),
        (Form.HEADER, "x-user", "x-user"),
        (Form.POLICY, "goodput", "goodput"),
        (Form.PACE, "paced 50/s", "paced 50/s"),
        (Form.PACE, "instant", "instant"),
        (Form.STORE, "redis://h:6379/0", "redis://h:6379/0"),
    ],
)
def test_it_is_read_and_written_again(form: Form, written: str, value: object) -> None:
    assert adapter(form).validate_python(written) == value
    assert adapter(form).dump_python(value, mode="json") == written
    pattern = adapter(form).json_schema().get("pattern")
    assert pattern is None or re.search(pattern, written)


@pytest.mark.parametrize(
    ("form", "written", "value"),
    [
        (Form.DIGEST, "A" * 64, "sha256:" + "a" * 64),
        (Form.MOMENT, "2027-01-01T01:00+01:00", 1798761600.0),
        (Form.NETWORK, "10.1.2.3/8", "10.0.0.0/8"),
        (Form.NETWORK, "10.1.2.3/32", "10.1.2.3"),
    ],
)
def test_other_spellings(form: Form, written: str, value: object) -> None:
    assert adapter(form).validate_python(written) == value


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (Form.DURATION, "5"),
        (Form.SIZE, "8"),
        (Form.PERCENT, "5 %"),
        (Form.DELAY, "p94"),
        (Form.DELAY, "0s"),
        (Form.TENANT, "team a"),
        (Form.TENANT, "sk-0123456789"),
        (Form.TENANT, "tg-0123456789"),
        (Form.TENANT, "a" * 65),
        (Form.TENANT, "é"),
        (Form.TENANT, ""),
        (Form.DIGEST, "a" * 63),
        (Form.DIGEST, "sk-secret"),
        (Form.MOMENT, "2027-13-01"),
        (Form.MOMENT, "2027-01-01T12:00"),
        (Form.MOMENT, "soon"),
        (Form.NETWORK, "0.0.0.0/0"),
        (Form.NETWORK, "::/0"),
        (Form.NETWORK, "proxy.local"),
        (Form.HEADER, "X-User"),
        (Form.HEADER, "authorization"),
        (Form.HEADER, "host"),
        (Form.HEADER, "x_user"),
        (Form.POLICY, "goodputt"),
        (Form.PACE, "paced 0/s"),
        (Form.STORE, "http://h"),
    ],
)
def test_anything_else_is_refused(form: Form, written: str) -> None:
    with pytest.raises(ValidationError):
        adapter(form).validate_python(written)


def test_every_policy_can_be_chosen() -> None:
    assert adapter(Form.POLICY).json_schema()["enum"] == list(POLICIES)
