"""What is told of a request holds no prompt, no answer and no key."""

import dataclasses

from proxy.obs.record import Record
from tests.unit.obs.records import record


def test_a_record_has_digests_lengths_and_counts_only() -> None:
    names = {field.name for field in dataclasses.fields(Record)}
    assert not names & {"body", "prompt", "answer", "headers", "key", "authorization", "fields"}


def test_what_is_not_said_is_as_of_a_plain_request() -> None:
    told = record()
    assert (told.fallback, told.hedge, told.tenant, told.client) == ("", "", "", "")
    assert told.promise == (None, None, None) or not any(told.promise)
