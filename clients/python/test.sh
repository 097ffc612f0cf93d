#!/usr/bin/env bash
# Installs what is missing, builds `ltm`, and checks the Python package: lints, types, and tests on real services.
set -euo pipefail
cd "$(dirname "$0")/../.."

deploy/setup.sh --python
cargo build --locked --bin ltm
target=${CARGO_TARGET_DIR:-$PWD/target}
tools=$target/python
# The mark holds the pins that are installed: other pins make the tools anew.
if ! cmp -s clients/python/requirements.txt "$tools/installed"; then
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement clients/python/requirements.txt
  cp clients/python/requirements.txt "$tools/installed"
fi

cd clients/python
"$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation .
export LTM_BIN=${LTM_BIN:-$target/debug/ltm} PATH=$tools/bin:$PATH
ruff format --check --quiet .
ruff check --quiet .
mypy --no-error-summary --cache-dir "$target/python/mypy"
pyright --pythonpath "$tools/bin/python" >"$target/python/pyright.log" || { cat "$target/python/pyright.log"; exit 1; }
PYTHONDONTWRITEBYTECODE=1 timeout 600 python -m pytest "$@"
