#!/usr/bin/env bash
# Holds the services against the descriptions that they give of themselves (check.py, and schemathesis on the HTTP API). What it
# checks with is installed beside the build, in versions that requirements.txt pins by their hashes.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=target/interfaces
# The mark holds the pins that are installed: other pins make the tools anew.
if ! cmp -s tests/interfaces/requirements.txt "$tools/installed"; then
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement tests/interfaces/requirements.txt
  cp tests/interfaces/requirements.txt "$tools/installed"
fi
npm --prefix tests/interfaces ci --no-audit --no-fund --silent

cargo build --quiet --locked --bin ltm
exec "$tools/bin/python" tests/interfaces/check.py
