"""What attempts share is copied whole: its constructor is written by hand."""

from dataclasses import fields, replace

from proxy.live.call import Call
from proxy.model.classes import StreamSettings
from proxy.model.endpoint import Endpoint
from proxy.model.request import Job, Request
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter


def test_no_field_is_lost_on_the_way_to_a_copy() -> None:
    request = Request("r", "POST", "/v1/chat/completions", Endpoint.CHAT, "m")
    call = Call(request, Job(1, "m"), [], b"{}", StreamSettings(), Timeline(0.0), Meter(), {"a": 1}, named="t")
    other = replace(call, body=b"[]")
    assert (other.body, call.body) == (b"[]", b"{}")
    for field in fields(Call):
        if field.name != "body":
            assert getattr(other, field.name) is getattr(call, field.name)
