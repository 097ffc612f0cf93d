#!/usr/bin/env bash
# Builds ltm-live, starts everything in one process on this machine, plays a sample history into a new LTM, and prints
# what to try next. Runs until Ctrl-C.
#
#   PORT=8001 deploy/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-8000}
url=http://127.0.0.1:$port
sample=tests/data/tutorial.json
ltm=${CARGO_TARGET_DIR:-target}/debug/ltm
# One data directory per port, so that a second instance has its own Redis.
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
    fail "PORT is \"$port\"; it must be a number from 1 to 65535"
  fi
  # The connection succeeds only if a program listens on the port.
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    fail "another program uses port $port. Choose another port: PORT=$((port + 1)) make run"
  fi
}

build() {
  say "building (the first time takes a few minutes) ..."
  cargo build --locked --bin ltm
}

# Job control gives the service its own process group. So Ctrl-C reaches only this script, and `stop` forwards exactly
# one signal.
start() {
  mkdir -p "$data"
  set -m
  "$ltm" dev --listen "127.0.0.1:$port" --data-dir "$data" </dev/null >"$log" 2>&1 &
  service=$!
  set +m
  trap stop EXIT
  trap 'exit 0' INT TERM HUP
}

# Lets the service drain. A second signal makes it exit at once.
stop() {
  local status=$? ended=0
  trap 'kill -TERM "$service" 2>/dev/null' INT TERM HUP
  if kill -TERM "$service" 2>/dev/null; then
    say "stopping; press Ctrl-C again to stop at once" 2>/dev/null || true
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
      fail "ltm dev exited; see its log above"
    fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      cat "$log" >&2
      fail "ltm dev was not ready within $start_limit s; see its log above"
    fi
    sleep 0.2
  done
}

play() {
  id=$("$ltm" --url "$url" --json play "$sample" --speed 1 | sed -n 's/.*"id": *\([0-9][0-9]*\).*/\1/p' | head -n 1)
  [ -n "$id" ] || fail "ltm play printed no id for $sample"
}

next_steps() {
  cat <<TEXT

ltm-live runs at $url. LTM $id contains the history of an agent that writes bedtime stories.

Open it in a browser: $url/#/ltm/$id

Follow it in JavaScript (Node 22 or newer, after "npm install fast-json-patch"; the same in a web page):

$(sed -e "s/^const ltmId = .*/const ltmId = $id;/" -e "s/^const server = .*/const server = '127.0.0.1:$port';/" -e 's/^./  &/' deploy/follow.mjs)

Or in another terminal:

  # get its state, then its document
  curl $url/api/v0/ltm/$id/state
  curl $url/api/v0/ltm/$id

  # print it from the beginning, then follow it live
  $ltm --url $url tail $id --after 0

  # append a snapshot yourself, and see it arrive there
  curl $url/api/v0/ltm/$id/snapshots -H 'Content-Type: application/json' \\
    -d '{"reason": "execute", "merge": {"mood": "sleepy"}}'

  # play the history again, slowly, into another LTM; the command prints its id
  $ltm --url $url play $sample --speed 0.2

The log is in $log. Ctrl-C stops the service and keeps its data.
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
