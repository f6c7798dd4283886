#!/bin/sh
# Writes the hashed locks: run set and test set from pyproject.toml, the engines of the tests, the frameworks of the examples. Needs .venv (`make lock`).
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.8
UV_IN=.venv/lock-tool

[ -x "$UV_IN/bin/uv" ] || .venv/bin/python -m venv "$UV_IN"
"$UV_IN/bin/python" -m pip --disable-pip-version-check --quiet install "uv==$UV_VERSION"

compile() { # output, then what to resolve
  output=$1
  shift
  "$UV_IN/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-header --output-file "$output" "$@"
  printf 'tidegate: wrote %s\n' "$output"
}

# The build tool belongs in both: the editable install runs without build isolation, so that nothing unpinned is fetched.
build_requires() { .venv/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")'; }

build_requires | compile requirements.lock --extra cache pyproject.toml -
build_requires | compile requirements-dev.lock --extra dev --constraint requirements.lock pyproject.toml -
compile tests/engines/requirements.lock tests/engines/requirements.in
compile tests/engines/xllamacpp.lock tests/engines/xllamacpp.in
compile tests/engines/transformers.lock --override tests/engines/without_gpu.txt tests/engines/transformers.in
compile tests/engines/vllm.lock --override tests/engines/without_gpu.txt tests/engines/vllm.in
compile deploy/examples/clients/frameworks.lock deploy/examples/clients/frameworks.in
