#!/usr/bin/env bash
# Runs every expression of the dashboard against a Prometheus that scrapes services under load, and lists the panels
# that would be empty. Needs curl and jq.
#
#   deploy/grafana/check.sh http://127.0.0.1:9090
set -euo pipefail

prometheus=${1:-http://127.0.0.1:9090}
dashboard=$(dirname "$0")/dashboards/ltm-live.json
empty=0 checked=0

while IFS=$'\t' read -r panel expression; do
  # Grafana replaces this variable with four scrape intervals.
  expression=${expression//\$__rate_interval/40s}
  answer=$(curl -sS --data-urlencode "query=$expression" "$prometheus/api/v1/query")
  # A quantile without data is NaN: that panel is empty too.
  values=$(jq '[.data.result[]?.value[1] | select(. != "NaN")] | length' <<<"$answer")
  checked=$((checked + 1))
  if [[ $values == 0 ]]; then
    empty=$((empty + 1))
    printf 'empty: %s: %s\n' "$panel" "$expression"
    jq -r '.error // empty' <<<"$answer"
  fi
done < <(jq -r '.panels[] | select(.targets) | .title as $title | .targets[] | [$title, .expr] | @tsv' "$dashboard" |
  sed 's/\\\\/\\/g')

printf '%d expressions, %d empty\n' "$checked" "$empty"
[[ $checked -gt 0 && $empty == 0 ]]
