#!/usr/bin/env bash
# Renders the chart with each file in cases/ and checks the result (check.py). Needs Python 3.9 or newer. Installs its
# tools in target/chart, in the versions that requirements.txt pins with hashes. Helm is one of them, prebuilt for Linux
# and macOS.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=target/chart
# `installed` is a copy of the installed requirements. If they have changed, the tools are installed again.
if ! cmp -s deploy/helm/requirements.txt "$tools/installed"; then
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement deploy/helm/requirements.txt
  cp deploy/helm/requirements.txt "$tools/installed"
fi

cargo build --quiet --locked --bin ltm-api --bin ltm-gateway
exec "$tools/bin/python" deploy/helm/check.py "$@"
