#!/usr/bin/env bash
# Draws the dashboard under load into docs/observability/dashboard.png. It starts a deployment and a Prometheus with the
# deployed configuration, puts load on the deployment, runs the dashboard's queries, and draws the answers with
# Grafana's panel components. It stops everything that it started.
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
  [[ $minutes =~ ^[1-9][0-9]?$ ]] || fail "MINUTES is \"$minutes\"; it must be a number from 1 to 99"
  deploy/setup.sh --dashboard
  (cd deploy/grafana/picture && npm ci --ignore-scripts --no-audit --no-fund --silent)
  cargo build --locked --workspace --bins --example deployment --example under_load
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
  # The deployment exits when its standard input closes. Only this script holds that input open, so the deployment also
  # exits if this script is killed.
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
    [[ $SECONDS -lt $deadline ]] || fail "$what did not start; its log: $(tail -n 20 "$folder"/*.log)"
    sleep 0.2
  done
}

start_deployment() {
  exec {hold}> >(exec "$examples/deployment" "$folder" "$seconds" >"$folder/deployment.log" 2>&1)
  deployment=$!
  until_there "the deployment" test -s "$folder/url"
  url=$(<"$folder/url")
}

# Uses the deployed configuration, but reads the services' addresses from files instead of Docker's DNS.
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

# Waits for a background sleep, so that a signal interrupts the pause at once.
pause() { # seconds
  sleep "$1" &
  pids+=($!)
  wait $!
}

prepare
start_deployment
start_prometheus
say "putting load on $url for $minutes minutes; Prometheus is at $prometheus"
# The load continues for another half minute, while the dashboard is drawn.
load $((seconds + 30)) 12 120
all_day=$!
# Doubles the load for a while.
pause $((seconds * 2 / 10))
load $((seconds * 4 / 10)) 12 120
busy_hour=$!
pause $((seconds * 8 / 10))

deploy/grafana/check.sh "$prometheus"
node deploy/grafana/picture/picture.mjs "$prometheus" "$minutes" docs/observability/dashboard.png
wait "$busy_hour" "$all_day" || fail "an entry did not reach every subscriber exactly once and in order: $(<"$folder/load.log")"
say "wrote docs/observability/dashboard.png. Load: $(<"$folder/load.log")"
