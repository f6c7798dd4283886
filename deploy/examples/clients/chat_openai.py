"""The official openai client: a whole answer, a stream, a vector, and what to do when the proxy says no.

    pip install openai
    TIDEGATE_URL=http://127.0.0.1:8080 python chat_openai.py MODEL
"""

import os
import sys

from openai import APIStatusError, OpenAI

client = OpenAI(
    base_url=os.environ.get("TIDEGATE_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("TIDEGATE_API_KEY", "any"),  # a tenant's key where the proxy asks for one
    max_retries=2,  # the client waits for Retry-After by itself; the proxy says when that is of no use
)
model = sys.argv[1] if len(sys.argv) > 1 else client.models.list().data[0].id
question = [{"role": "user", "content": "Name three rivers."}]

whole = client.chat.completions.with_raw_response.create(model=model, messages=question, max_tokens=32)
print("whole:", whole.parse().choices[0].message.content)
print("served by:", whole.headers["x-tidegate-route"])

stream = client.chat.completions.create(
    model=model,
    messages=question,
    max_tokens=32,
    stream=True,
    stream_options={"include_usage": True},
    extra_headers={"x-tidegate-class": "interactive"},  # or bulk: fills what others leave
)
print("stream:", end=" ")
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="")
    elif chunk.usage:
        print(f"\ntokens: {chunk.usage.completion_tokens}")

try:
    client.chat.completions.create(model="no-such-model", messages=question)
except APIStatusError as error:
    print("refused:", error.status_code, error.code, "request", error.request_id)
