#!/bin/sh
# Make .venv with the pinned dependencies. Usage: tools/setup.sh [EXTRA ...]; extras are those of pyproject.toml.
# Says what to install where the system lacks something. Does nothing when all is as it should be.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $1" >&2
    exit 1
}

python=""
for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3 python; do
    [ -n "$candidate" ] || continue
    command -v "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 or later is needed. On Debian or Ubuntu: apt install python3 python3-venv
(or name one: make PYTHON=/path/to/python3 ...)"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$python has no venv module. On Debian or Ubuntu: apt install python3-venv"

if ! [ -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    echo "setup: making .venv with $($python --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi

extras=$(echo "$*" | tr ' ' ',')
wanted=$(cat pyproject.toml constraints.txt | cksum)
for extra in "" "$@"; do
    [ "$(cat ".venv/.installed-${extra:-core}" 2>/dev/null)" = "$wanted" ] || missing=yes
done
if [ "${missing:-}" = yes ]; then
    echo "setup: installing pretrial${extras:+[$extras]} (a few minutes the first time)"
    # The pinned torch first and by name: another package's loose range may fetch a far larger build.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
        "$(grep '^torch==' constraints.txt)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
        -e ".${extras:+[$extras]}"
    for extra in "" "$@"; do
        echo "$wanted" >".venv/.installed-${extra:-core}"
    done
fi

if ! command -v g++ >/dev/null 2>&1 && ! command -v clang++ >/dev/null 2>&1; then
    echo "setup: no C++ compiler: training runs uncompiled, about half as fast. On Debian or Ubuntu: apt install g++ python3-dev"
elif ! .venv/bin/python -c 'import os, sys, sysconfig
sys.exit(not os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")))'; then
    echo "setup: no Python.h: training runs uncompiled, about half as fast. On Debian or Ubuntu: apt install python3-dev"
fi
