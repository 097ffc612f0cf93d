#!/usr/bin/env bash
# Draws the dashboard with load on it, into docs/observability/dashboard.png: starts a deployment and a Prometheus with
# the files that are deployed, puts load on it, asks Prometheus what the dashboard asks, and draws the answers with
# Grafana's panel components. All that it starts ends with it.
#
#   MINUTES=10 deploy/grafana/picture.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

minutes=${MINUTES:-10}
seconds=$((minutes * 60))
examples=${CARGO_TARGET_DIR:-target}/debug/examples
start_limit=60
pids=()

say() { printf 'picture: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

prepare() {
  [[ $minutes =~ ^[1-9][0-9]?$ ]] || fail "MINUTES is \"$minutes\"; a number from 1 to 99 is needed"
  deploy/setup.sh --dashboard
  (cd deploy/grafana/picture && npm ci --ignore-scripts --no-audit --no-fund --silent)
  cargo build --locked --bins
  cargo build --locked --package ltm-tests --example deployment --example under_load
  folder=$(mktemp -d)
  trap finish EXIT
  trap 'exit 1' INT TERM HUP
}

finish() {
  local pid
  for pid in ${pids[@]+"${pids[@]}"}; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" || true
  done
  # The deployment ends with its input, which nobody else holds: so it would if this script
  # were killed.
  if [[ -n ${hold:-} ]]; then
    exec {hold}>&-
    wait "$deployment" || true
  fi
  rm -rf "$folder"
}

until_there() { # what, command…
  local what=$1 deadline=$((SECONDS + start_limit))
  shift
  until "$@"; do
    [[ $SECONDS -lt $deadline ]] || fail "$what does not come; what it said: $(tail -n 20 "$folder"/*.log)"
    sleep 0.2
  done
}

start_deployment() {
  exec {hold}> >(exec "$examples/deployment" "$folder" "$seconds" >"$folder/deployment.log" 2>&1)
  deployment=$!
  until_there "the deployment" test -s "$folder/url"
  url=$(<"$folder/url")
}

# The deployed configuration; the services are in files instead of Docker's DNS.
start_prometheus() {
  sed -e 's/dns_sd_configs/file_sd_configs/' -e 's/{ names: \[\(api\|gateway\)\].*/{ files: [\1.json] }/' \
    deploy/prometheus/prometheus.yml >"$folder/prometheus.yml"
  cp deploy/prometheus/alerts.yml "$folder"
  prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/prometheus" \
    --web.listen-address=127.0.0.1:0 >"$folder/prometheus.log" 2>&1 </dev/null {hold}>&- &
  pids+=($!)
  until_there "Prometheus" listening
}

listening() {
  prometheus=http://$(sed -n 's/.*msg="Listening on" address=//p' "$folder/prometheus.log")
  curl -fsS "$prometheus/-/ready" >/dev/null 2>&1
}

load() { # seconds, LTMs, subscribers
  "$examples/under_load" "$url" "$@" >>"$folder/load.log" 2>&1 </dev/null {hold}>&- &
  pids+=($!)
}

# A signal ends this, and not only what comes after.
pause() { # seconds
  sleep "$1" &
  pids+=($!)
  wait $!
}

prepare
start_deployment
start_prometheus
say "$url has load for $minutes minutes; Prometheus is at $prometheus"
# Half a minute more, in which it is drawn.
load $((seconds + 30)) 12 120
all_day=$!
# The busy hour.
pause $((seconds * 2 / 10))
load $((seconds * 4 / 10)) 12 120
busy_hour=$!
pause $((seconds * 8 / 10))

deploy/grafana/check.sh "$prometheus"
node deploy/grafana/picture/picture.mjs "$prometheus" "$minutes" docs/observability/dashboard.png
wait "$busy_hour" "$all_day" || fail "an entry did not reach every subscriber once, in order: $(<"$folder/load.log")"
say "docs/observability/dashboard.png is made. Meanwhile: $(<"$folder/load.log")"
