#!/usr/bin/env bash
# Clients of AG-UI that others publish, unchanged, against the services: in Node (*.test.mjs), and the validator of the
# Python package ag-ui-validate; then agents that others publish, recorded (record.mjs); then CopilotKit's runtime and page
# (copilotkit). What is missing is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --quiet --locked --bin ltm
npm --prefix clients/js ci --no-audit --no-fund --silent
npm --prefix clients/js run --silent build
npm --prefix tests/agui ci --no-audit --no-fund --silent
npm --prefix tests/agui test

tools=target/agui
if ! cmp -s tests/agui/requirements.txt "$tools/installed"; then
  rm -rf "$tools"
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement tests/agui/requirements.txt
  cp tests/agui/requirements.txt "$tools/installed"
fi
PATH="$PWD/$tools/bin:$PATH" node tests/agui/validate.mjs
LTM_GUIDES_NODE=1 cargo test --quiet --locked --workspace --test it -- guides::the_guide_of_ag_ui

# Agents of others that `ltm agui` records. Some of their packages need Python 3.11 or newer.
agents=target/agui-record
if ! cmp -s tests/agui/record-requirements.txt "$agents/installed"; then
  rm -rf "$agents"
  python3 -m venv "$agents"
  "$agents/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement tests/agui/record-requirements.txt
  cp tests/agui/record-requirements.txt "$agents/installed"
fi
LTM_AGUI_PYTHON="$PWD/$agents/bin/python" node --test --test-timeout 120000 tests/agui/record.mjs

# CopilotKit's runtime with the runner of the JavaScript client, and a CopilotKit page in Chromium.
npm --prefix tests/agui/copilotkit ci --no-audit --no-fund --silent
npm --prefix tests/agui/copilotkit test
