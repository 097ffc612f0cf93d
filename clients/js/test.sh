#!/usr/bin/env bash
# Installs what is missing, builds the services and the client, and runs all tests of the client. At the end the client
# follows while random faults strike.
set -euo pipefail
cd "$(dirname "$0")"

../../deploy/setup.sh --test
../../deploy/setup.sh --client
cargo build --locked --bin ltm
npm ci --no-audit --no-fund
npm test
npm run --silent lint
LTM_TEST_CLIENT_JS=$PWD/dist/index.js cargo test --locked --workspace --test it -- chaos::faults_lose
