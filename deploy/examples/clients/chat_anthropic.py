"""The official anthropic client, before an engine that serves /v1/messages (vLLM, SGLang, llama.cpp, Ollama).

    pip install anthropic
    TIDEGATE_URL=http://127.0.0.1:8080 python chat_anthropic.py MODEL

The base URL is the proxy's, without /v1: this client writes that itself.
"""

import os
import sys

from anthropic import Anthropic, APIStatusError

client = Anthropic(
    base_url=os.environ.get("TIDEGATE_URL", "http://127.0.0.1:8080"),
    api_key=os.environ.get("TIDEGATE_API_KEY", "any"),
)
model = sys.argv[1] if len(sys.argv) > 1 else client.models.list().data[0].id
question = [{"role": "user", "content": "Name three rivers."}]

whole = client.messages.create(model=model, max_tokens=32, messages=question)
print("whole:", whole.content[0].text)

with client.messages.stream(model=model, max_tokens=32, messages=question) as stream:
    print("stream:", "".join(stream.text_stream))
    print("tokens:", stream.get_final_message().usage.output_tokens)

try:
    client.messages.create(model="no-such-model", max_tokens=1, messages=question)
except APIStatusError as error:
    print("refused:", error.status_code, error.body["error"]["type"], "request", error.request_id)
