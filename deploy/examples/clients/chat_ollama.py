"""The official ollama client, before Ollama (SGLang answers its chats, too).

    pip install ollama
    TIDEGATE_URL=http://127.0.0.1:8080 python chat_ollama.py MODEL

Models are those of all backends that are Ollama, aliases included.
"""

import os
import sys

from ollama import Client, ResponseError

key = os.environ.get("TIDEGATE_API_KEY", "any")
client = Client(
    host=os.environ.get("TIDEGATE_URL", "http://127.0.0.1:8080"),
    headers={"Authorization": f"Bearer {key}", "x-tidegate-class": "interactive"},
)
model = sys.argv[1] if len(sys.argv) > 1 else client.list().models[0].model
question = [{"role": "user", "content": "Name three rivers."}]

whole = client.chat(model, question, options={"num_predict": 32})
print("whole:", whole.message.content)

parts = list(client.chat(model, question, options={"num_predict": 32}, stream=True))
print("stream:", "".join(part.message.content or "" for part in parts))
print("tokens:", parts[-1].eval_count)

try:
    client.chat("no-such-model", question)
except ResponseError as error:
    print("refused:", error.status_code, error.error)
