"""Files, batches and result lines in OpenAI's shapes, as its client reads them."""

import json

from openai.types import Batch as OpenAiBatch
from openai.types import FileObject

from proxy.model.batch import Batch, BatchState, Complaint, Owner, StoredFile
from proxy.wire.batch_objects import answered, of_batch, of_file, of_list, unanswered


def test_a_file_and_a_batch_have_every_field_that_the_client_reads() -> None:
    file = FileObject.model_validate(of_file(StoredFile("file-1", "batch", "a.jsonl", 5, 7, 9)), strict=True)
    assert (file.id, file.bytes, file.created_at, file.expires_at) == ("file-1", 5, 7, 9)
    one = Batch(
        number=1,
        id="batch_1",
        owner=Owner(b""),
        endpoint="/v1/embeddings",
        input_file="file-1",
        window="24h",
        created=5,
        expires=9,
        state=BatchState.FAILED,
        marks={"failed": 8},
        errors=(Complaint("invalid_json_line", "x", 3),),
        prompt_tokens=4,
        completion_tokens=5,
    )
    shown = OpenAiBatch.model_validate(json.loads(json.dumps(of_batch(one))), strict=False)
    assert (shown.status, shown.failed_at, shown.completed_at, shown.output_file_id) == ("failed", 8, None, None)
    assert shown.errors is not None
    assert shown.errors.data is not None
    assert [(e.code, e.line) for e in shown.errors.data] == [("invalid_json_line", 3)]
    assert shown.usage is not None
    assert shown.usage.total_tokens == 9


def test_a_list_says_where_it_goes_on() -> None:
    assert of_list([{"id": "a"}, {"id": "b"}], has_more=True) == {
        "object": "list",
        "data": [{"id": "a"}, {"id": "b"}],
        "first_id": "a",
        "last_id": "b",
        "has_more": True,
    }
    assert of_list([], has_more=False)["last_id"] is None


def test_a_result_is_one_line_whatever_the_answer_is() -> None:
    for body, shown in (
        (b'{"a": 1.0}', {"a": 1.0}),
        (b'{\n "a": 2\n}', {"a": 2}),
        (b"no\njson", "no\njson"),
        (b"", ""),
    ):
        record = answered("r", 'c"1', 200, "q", body)
        assert b"\n" not in record
        response = {"status_code": 200, "request_id": "q", "body": shown}
        assert json.loads(record) == {"id": "r", "custom_id": 'c"1', "response": response, "error": None}
    assert b'"body":{"a": 1.0}' in answered("r", "c", 200, "q", b'{"a": 1.0}'), "byte for byte"
    assert json.loads(unanswered("r", "c", "x", "y"))["error"] == {"code": "x", "message": "y"}
