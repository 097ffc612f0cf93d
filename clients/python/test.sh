#!/usr/bin/env bash
# Installs what is missing, builds `ltm`, and checks the Python package on real services:
#
#   test.sh [-k …]         lints, types, and the tests of the package
#   test.sh hooks [-k …]   types and tests of the hooks, with the frameworks that they record
#   test.sh sdist [python…] builds sdist and wheel, installs the sdist with each Python, and runs its tests
#   test.sh reference       writes the API reference, from the docstrings, to target/python-reference
#   test.sh flou [-k …]    types and tests of the engines for Flou, with Flou and PostgreSQL
set -euo pipefail
cd "$(dirname "$0")/../.."

what=package
case "${1:-}" in
  hooks | flou | reference | sdist)
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
    # The page of the FastAPI example.
    ../../deploy/setup.sh --client
    (cd ../js && npm ci --no-audit --no-fund --silent && npm run --silent build)
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
  reference)
    environment python requirements.txt
    python -W ignore scripts/reference.py "$target/python-reference"
    ;;
  sdist)
    environment python requirements.txt
    folder=$target/python-sdist
    rm -rf "$folder"
    python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$folder" .
    python -m hatchling build --target sdist --directory "$folder" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
    python scripts/packed.py "$folder"
    tar -xzf "$folder"/*.tar.gz -C "$folder"
    LTM_REPOSITORY=$(cd ../.. && pwd)
    export LTM_REPOSITORY
    [ $# -gt 0 ] || set -- python3
    for python in "$@"; do
      version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
      "$python" -m venv "$folder/$version"
      # The pins are for one version of Python, so each takes what fits it; the tools that check are left out.
      grep -vE '^#|mypy|pdoc|pyright|ruff' requirements.in >"$folder/$version/requirements"
      "$folder/$version/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$folder/$version/requirements" "$(echo "$folder"/*.tar.gz)"
      (cd "$folder"/ltm_live-*/ && PATH=$folder/$version/bin:$PATH timeout 900 python -m pytest)
      echo "the sdist works with Python $version"
    done
    ;;
esac
