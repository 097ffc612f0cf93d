#!/usr/bin/env bash
# Installs what is missing, builds `ltm`, and checks the Python package on real services:
#
#   test.sh [-k …]         lints, types, and the tests of the package
#   test.sh hooks [-k …]   types and tests of the hooks, with the frameworks that they record
#   test.sh flou [-k …]    types and tests of the engines for Flou, with Flou and PostgreSQL
set -euo pipefail
cd "$(dirname "$0")/../.."

what=package
case "${1:-}" in
  hooks | flou)
    what=$1
    shift
    ;;
esac

case $what in
  flou) deploy/setup.sh --flou ;;
  *) deploy/setup.sh --python ;;
esac
cargo build --locked --bin ltm
target=${CARGO_TARGET_DIR:-$PWD/target}
export LTM_BIN=${LTM_BIN:-$target/debug/ltm} PYTHONDONTWRITEBYTECODE=1
cd clients/python

# Makes an environment with these packages, and the package of this folder.
environment() { # name, requirements
  tools=$target/$1
  # The mark holds the pins that are installed: other pins make the tools anew.
  if ! cmp -s "$2" "$tools/installed"; then
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement "$2"
    cp "$2" "$tools/installed"
  fi
  "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation .
  export PATH=$tools/bin:$PATH
}

case $what in
  package)
    environment python requirements.txt
    ruff format --check --quiet .
    ruff check --quiet .
    mypy --no-error-summary --cache-dir "$tools/mypy"
    pyright --pythonpath "$tools/bin/python" >"$tools/pyright.log" || { cat "$tools/pyright.log"; exit 1; }
    timeout 600 python -m pytest "$@"
    ;;
  hooks)
    environment python-hooks requirements-hooks.txt
    mypy --no-error-summary --cache-dir "$tools/mypy" src/ltm_live/hooks/*.py tests/hooks/*.py
    pyright --pythonpath "$tools/bin/python" src/ltm_live/hooks/*.py >"$tools/pyright.log" || { cat "$tools/pyright.log"; exit 1; }
    # Event loops that the frameworks leave open are theirs.
    timeout 600 python -m pytest tests/hooks -W ignore::ResourceWarning -W ignore::DeprecationWarning \
      -W ignore::pytest.PytestUnraisableExceptionWarning "$@"
    ;;
  flou)
    environment python-flou requirements-flou.txt
    # Flou has no types.
    mypy --no-error-summary --cache-dir "$tools/mypy" --disable-error-code import-untyped src/ltm_live/flou/*.py tests/flou/*.py
    timeout 900 python -m pytest tests/flou -W ignore::DeprecationWarning "$@"
    ;;
esac
