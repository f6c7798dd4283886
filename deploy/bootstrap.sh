#!/bin/sh
# Makes .venv and installs the locked dependencies and Tidegate itself into it. Does nothing when that is already done.
#
#   sh deploy/bootstrap.sh run     what `tidegate` needs
#   sh deploy/bootstrap.sh test    that, and what the tests need
#
# Needs a POSIX shell, Python >= 3.11 and, when there is something to install, the package index. A problem is said in one line.
set -eu
cd "$(dirname "$0")/.."

OLDEST_MINOR=11
CANDIDATES="python3 python3.14 python3.13 python3.12 python3.11"

say() { printf 'tidegate: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

case "${1:-}" in
  run) lock=requirements.lock ;;
  test) lock=requirements-dev.lock ;;
  *) printf 'usage: bootstrap.sh run|test\n' >&2; exit 2 ;;
esac
kind=$1

# -- is there anything to do? -----------------------------------------------------------------------------------------
# The stamp names everything the installation was made from: the place (scripts in .venv/bin hold absolute paths), the
# interpreter, the locks, the project's own metadata, these steps, and the source of what is compiled.
stamp_of() {
  {
    printf '%s\n' "$(pwd -P)" "${TIDEGATE_COMPILE:-auto}"
    .venv/bin/python -c 'import sys; print(sys.version)'
    cat "$1" pyproject.toml setup.py deploy/bootstrap.sh
    [ "${TIDEGATE_COMPILE:-auto}" = no ] || find proxy -name '*.py' -exec cksum {} + | sort
  } 2>/dev/null | cksum
}
is_current() { [ -f ".venv/.stamp-$1" ] && [ "$(cat ".venv/.stamp-$1")" = "$(stamp_of "$2")" ]; }

is_current test requirements-dev.lock && exit 0 # the test set holds the run set
[ "$kind" = run ] && is_current run requirements.lock && exit 0

# -- an interpreter ---------------------------------------------------------------------------------------------------
# A name on PATH may be a version manager's shim that only prints an error: what counts is that it runs.
minor_of() { "$1" -c 'import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else 0)' 2>/dev/null; }
can_make_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

python=
without_venv=
too_old=
for candidate in $CANDIDATES; do
  minor=$(minor_of "$candidate") || continue
  case "$minor" in '' | *[!0-9]*) continue ;; esac
  if [ "$minor" -lt "$OLDEST_MINOR" ]; then
    too_old=${too_old:-3.$minor}
  elif can_make_venv "$candidate"; then
    python=$candidate
    break
  else
    without_venv=${without_venv:-$candidate}
  fi
done

root=
[ "$(id -u)" = 0 ] || root="sudo "
if [ -z "$python" ]; then
  [ -z "$without_venv" ] || die "$without_venv cannot make a virtual environment; fix: ${root}apt-get install $without_venv-venv"
  [ -z "$too_old" ] || die "needs Python 3.$OLDEST_MINOR or newer, found only $too_old; fix: ${root}apt-get install python3.$OLDEST_MINOR python3.$OLDEST_MINOR-venv"
  die "needs Python 3.$OLDEST_MINOR or newer, found none; fix: ${root}apt-get install python3 python3-venv"
fi

# -- .venv ------------------------------------------------------------------------------------------------------------
# Scripts in .venv/bin hold the absolute path they were made for: a folder that was moved or copied needs a new one.
is_usable() {
  here=$(pwd -P)/.venv/bin/python
  grep -qF -e "#!$here" -e "\"$here" .venv/bin/pip 2>/dev/null &&
    .venv/bin/python -c "import pip, sys; sys.exit(sys.version_info < (3, $OLDEST_MINOR))" >/dev/null 2>&1
}
make_venv() {
  say "making .venv with $("$python" -V)"
  rm -rf .venv
  trap 'rm -rf .venv' EXIT # never leave half of one
  trap 'exit 1' HUP INT TERM
  "$python" -m venv .venv >/dev/null 2>&1 || die "$python could not make .venv; fix: ${root}apt-get install $python-venv (or free some disk space)"
  trap - EXIT HUP INT TERM
}
is_usable || make_venv

# -- what goes into it ------------------------------------------------------------------------------------------------
# setuptools is in the locks, so building Tidegate's own metadata fetches nothing that is not pinned.
pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input -qq "$@" </dev/null; }

# The locks need no second look where only our own source has changed.
locked() { { printf '%s\n' "$(pwd -P)"; cat "$lock"; } | cksum; }
rm -f .venv/.stamp-run .venv/.stamp-test
if [ "$(cat ".venv/.locked-$kind" 2>/dev/null)" != "$(locked)" ]; then
  say "installing $lock (once; needs the package index)"
  pip install --require-hashes -r "$lock" || die "could not install $lock (pip says why above); fix: make the package index reachable, then run the same command again"
  locked >".venv/.locked-$kind"
fi
# What an earlier build left must not stand in for newer source.
rm -f ./*.so
find proxy -name '*.so' -exec rm -f {} +
[ "${TIDEGATE_COMPILE:-auto}" = no ] || say "compiling the hot path (about a minute; TIDEGATE_COMPILE=no leaves it out)"
pip install --no-deps --no-build-isolation --editable . || die "could not install Tidegate into .venv (pip says why above)"
if [ "${TIDEGATE_COMPILE:-auto}" = auto ] && .venv/bin/tidegate --version | grep -q pure; then
  say "not compiled, so it takes about 1.8 times the CPU; fix: ${root}apt-get install gcc python3-dev, then make clean and again"
fi

stamp_of "$lock" >".venv/.stamp-$kind.new"
mv ".venv/.stamp-$kind.new" ".venv/.stamp-$kind"
