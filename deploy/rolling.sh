#!/usr/bin/env bash
# Replaces the containers of a service one by one with new ones, which use Compose's current image and settings. For
# each container the script waits until the new one is healthy, then stops the old one and waits until it has drained.
# (`docker compose up` would stop all of them at once.) Arguments before `--` go to docker compose.
#
#   deploy/rolling.sh gateway
#   deploy/rolling.sh gateway api
#   deploy/rolling.sh --project-name other -- gateway
set -euo pipefail

options=()
for argument in "$@"; do
  if [[ $argument == -- ]]; then
    while [[ $1 != -- ]]; do options+=("$1"); shift; done
    shift
    break
  fi
done
if [[ $# == 0 ]]; then
  echo "usage: $0 [<docker compose options> --] <service>…" >&2
  exit 2
fi

compose() { docker compose ${options[@]+"${options[@]}"} "$@"; }

roll() { # service
  local old count container
  mapfile -t old < <(compose ps --quiet "$1")
  count=${#old[@]}
  if [[ $count == 0 ]]; then
    echo "$1 is not running; start it with: docker compose up -d $1" >&2
    return 1
  fi
  for container in "${old[@]}"; do
    # One more container, of the new image. `--wait` fails if it does not become healthy.
    compose up --detach --no-deps --no-recreate --wait --scale "$1=$((count + 1))" "$1"
    # Sends SIGTERM, and waits up to the service's stop_grace_period.
    docker stop "$container" >/dev/null
    docker rm "$container" >/dev/null
    echo "$1: $((++done_))/$count replaced"
  done
}

for service in "$@"; do
  done_=0
  roll "$service"
done
