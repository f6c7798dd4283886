#!/bin/sh
# curl: a whole answer, a stream, and a refusal with its headers.
#
#   TIDEGATE_URL=http://127.0.0.1:8080 sh chat.sh MODEL
set -eu
url=${TIDEGATE_URL:-http://127.0.0.1:8080}
key=${TIDEGATE_API_KEY:-any}
model=${1:?the model to ask}

ask() { # body, then more arguments
  body=$1
  shift
  curl --silent --show-error --max-time 60 "$url/v1/chat/completions" \
    -H "authorization: Bearer $key" -H 'content-type: application/json' -d "$body" "$@"
}

echo "whole:"
ask '{"model": "'"$model"'", "max_tokens": 16, "messages": [{"role": "user", "content": "Name three rivers."}]}'
echo
echo "stream:" # --no-buffer: events as they come
ask '{"model": "'"$model"'", "max_tokens": 16, "stream": true,
      "messages": [{"role": "user", "content": "Name three rivers."}]}' --no-buffer
echo "refused:" # --include: x-request-id, Retry-After and x-tidegate-route say more than the body
ask '{"model": "no-such-model", "messages": [{"role": "user", "content": "hello"}]}' --include
echo
