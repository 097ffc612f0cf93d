#!/usr/bin/env bash
# Checks licences, duplicates and sources of the dependencies against deny.toml. Also checks for known advisories, if
# the database can be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo deny --locked check licenses bans sources

if cargo deny --locked fetch db >target/advisories.log 2>&1; then
  cargo deny --locked check --disable-fetch advisories
else
  echo "deny: ADVISORIES NOT CHECKED: could not fetch their database, see target/advisories.log" >&2
fi
