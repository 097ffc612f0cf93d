#!/usr/bin/env bash
# Installs what is missing, builds the services and the client, and runs all tests of the client.
set -euo pipefail
cd "$(dirname "$0")"

../../deploy/setup.sh --client
cargo build --locked --bin ltm
npm ci --no-audit --no-fund
npm test
