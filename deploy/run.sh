#!/usr/bin/env bash
# Builds and starts everything in one process on this machine, plays a sample history into a new LTM and
# says what to try next. Runs until Ctrl-C.
#
#   PORT=8001 deploy/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-8000}
url=http://127.0.0.1:$port
sample=tests/data/tutorial.json
ltm=${CARGO_TARGET_DIR:-target}/debug/ltm
# One data directory per port, so that a second run beside the first has its own Redis.
data=${XDG_DATA_HOME:-$HOME/.local/share}/ltm-live
[ "$port" = 8000 ] || data+=-$port
log=$data/ltm-dev.log
start_limit=60

say() { printf '%s\n' "$*"; }

fail() {
  printf 'run: %s\n' "$*" >&2
  exit 1
}

check_port() {
  if ! [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535 ]]; then
    fail "PORT is \"$port\"; a number from 1 to 65535 is needed"
  fi
  # Only a server that listens lets this connect.
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    fail "port $port is taken by another program. Take another one: PORT=$((port + 1)) make run"
  fi
}

build() {
  say "building (takes some minutes the first time) ..."
  cargo build --locked --bin ltm
}

# In a process group of its own, with job control: Ctrl-C reaches only this script, and `stop` passes on
# exactly one signal.
start() {
  mkdir -p "$data"
  set -m
  "$ltm" dev --listen "127.0.0.1:$port" --data-dir "$data" </dev/null >"$log" 2>&1 &
  service=$!
  set +m
  trap stop EXIT
  trap 'exit 0' INT TERM HUP
}

# Lets the service drain; one more signal makes it exit at once.
stop() {
  local status=$? ended=0
  trap 'kill -TERM "$service" 2>/dev/null' INT TERM HUP
  if kill -TERM "$service" 2>/dev/null; then
    say "stopping; Ctrl-C again to stop at once" 2>/dev/null || true
  fi
  while kill -0 "$service" 2>/dev/null; do
    wait "$service" && ended=0 || ended=$?
  done
  [ "$status" != 0 ] || status=$ended
  exit "$status"
}

ready() {
  local status
  { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 1
  printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
  read -r -t 5 _ status _ <&3 || status=none
  exec 3>&-
  [ "$status" = 200 ]
}

wait_until_ready() {
  local deadline=$((SECONDS + start_limit))
  until ready; do
    if ! kill -0 "$service" 2>/dev/null; then
      cat "$log" >&2
      fail "ltm dev ended; its log is above"
    fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      cat "$log" >&2
      fail "ltm dev was not ready within $start_limit s; its log is above"
    fi
    sleep 0.2
  done
}

play() {
  id=$("$ltm" --url "$url" --json play "$sample" --speed 1 | sed -n 's/.*"id": *\([0-9][0-9]*\).*/\1/p' | head -n 1)
  [ -n "$id" ] || fail "playing $sample gave no id"
}

next_steps() {
  cat <<TEXT

The service is at $url. LTM $id holds the history of an agent that writes bedtime stories.

See it in a browser: $url/#/ltm/$id

Follow it in JavaScript (Node 22 or newer, after "npm install fast-json-patch"; the same in a web page):

$(sed -e "s/^const ltmId = .*/const ltmId = $id;/" -e "s/^const server = .*/const server = '127.0.0.1:$port';/" -e 's/^./  &/' deploy/follow.mjs)

Or in another terminal:

  # its state, and its history
  curl $url/api/v0/ltm/$id/state
  curl $url/api/v0/ltm/$id

  # follow it from the beginning, and go on when something new comes
  $ltm --url $url tail $id --after 0

  # take a step yourself, and see it arrive there
  curl $url/api/v0/ltm/$id/snapshots -H 'Content-Type: application/json' \\
    -d '{"reason": "execute", "merge": {"mood": "sleepy"}}'

  # play the history again, slowly, into another LTM: it prints the id to follow
  $ltm --url $url play $sample --speed 0.2

The log is in $log. Ctrl-C ends the service; what was written stays.
TEXT
}

deploy/setup.sh
check_port
build
start
wait_until_ready
play
next_steps
wait "$service"
