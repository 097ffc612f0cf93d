#!/usr/bin/env bash
# Installs what is missing, builds the services and the client, and runs the tests of all examples and the guides that
# contain JavaScript.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/setup.sh --examples
cargo build --locked --bin ltm
export npm_config_audit=false npm_config_fund=false
(cd clients/js && npm ci && npm run build)
(cd examples && npm ci)
(cd examples && npm test)
# Only the guides with JavaScript; the others do not need Node.
LTM_GUIDES_NODE=1 cargo test --locked --workspace --test it -- guides::the_readme guides::the_guide_of_app_developers \
  guides::the_guide_of_engine_developers guides::the_page_on_security
