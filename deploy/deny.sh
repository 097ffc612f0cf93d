#!/usr/bin/env bash
# Checks licences, duplicates and sources of the dependencies as deny.toml says, and whether advisories are
# known against them, where the database can be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo deny --locked check licenses bans sources

if cargo deny --locked fetch db >target/advisories.log 2>&1; then
  cargo deny --locked check --disable-fetch advisories
else
  echo "deny: ADVISORIES ARE NOT CHECKED: their database could not be fetched (target/advisories.log says why)" >&2
fi
