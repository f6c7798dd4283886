#!/bin/sh
# Sets up what the tests of the LangChain and LlamaIndex examples run in: a virtual environment of their own.
#
#   sh deploy/frameworks.sh             set up what is missing
#   sh deploy/frameworks.sh --check     exit 0 when it is there and current, else 1; changes nothing
#
# It lies in a cache outside the clone: $TIDEGATE_FRAMEWORKS, or tidegate/frameworks under $XDG_CACHE_HOME or ~/.cache. Not in
# .venv: 90 packages and 340 MB, numpy, SQLAlchemy and nltk among them, which nothing else here needs. Needs the package index.
set -eu
cd "$(dirname "$0")/.."

venv=${TIDEGATE_FRAMEWORKS:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/frameworks}
lock=deploy/examples/clients/frameworks.lock

stamp() { { printf '%s\n' "$venv" && cat "$lock"; } | cksum; }
is_ready() { [ -x "$venv/bin/python" ] && [ -f "$venv/stamp" ] && [ "$(cat "$venv/stamp")" = "$(stamp)" ]; }

case "${1:-}" in
  --check) is_ready; exit ;;
  '') ;;
  *) printf 'usage: frameworks.sh [--check]\n' >&2; exit 2 ;;
esac
is_ready && exit 0

[ -x .venv/bin/python ] || sh deploy/bootstrap.sh test # finds a Python, or says in one line why there is none
printf 'frameworks: setting up in %s\n' "$venv"
rm -rf "$venv"
mkdir -p "$(dirname "$venv")"
.venv/bin/python -m venv "$venv"
"$venv/bin/python" -m pip --disable-pip-version-check --no-input -qq install --require-hashes -r "$lock"
stamp >"$venv/stamp"
