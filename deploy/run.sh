#!/usr/bin/env bash
# Builds ltm-live, starts everything in one process on this machine, plays a sample history into a new LTM, and prints
# what to try next. Runs until Ctrl-C.
#
#   PORT=8001 deploy/run.sh
#   LTM=/usr/bin/ltm deploy/run.sh      with a program that is already built
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-8000}
url=http://127.0.0.1:$port
sample=tests/data/tutorial.json
target=${CARGO_TARGET_DIR:-target}
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

# Whether this program was built from the commit of this folder, and the folder has no changes.
is_current() {
  [ -x "$1" ] && git diff --quiet HEAD -- crates Cargo.toml Cargo.lock 2>/dev/null || return 1
  [[ $("$1" --version 2>/dev/null) == *"($(git rev-parse --short=12 HEAD))" ]]
}

# Sets `ltm`: the program of the variable LTM, else a release build of this commit (`make dist`, `make release`), else a
# debug build, of which Cargo compiles what has changed.
program() {
  local packaged
  ltm=${LTM:-}
  if [ -n "$ltm" ]; then
    ltm=$(command -v "$ltm") || fail "LTM is \"$LTM\"; it must be the path of the program ltm"
    return
  fi
  for packaged in "$target/dist/ltm" "$target"/*/dist/ltm; do
    if is_current "$packaged"; then
      ltm=$packaged
      return
    fi
  done
  deploy/setup.sh
  ltm=$target/debug/ltm
  if [ -e "$ltm" ]; then
    say "compiling what has changed ..."
  else
    say "compiling ltm-live and its libraries: this takes some minutes, once. Cargo shows how far it is."
  fi
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

Open it in a browser:  $url/#/ltm/$id
  It is the history of an agent that writes bedtime stories, in LTM $id.
  All LTMs:             $url
  Every call:           $url/docs
  The log:              $log
  Ctrl-C stops ltm-live and keeps its data.

More to try. Follow the LTM in JavaScript (Node 22 or newer, after "npm install fast-json-patch"; the same in a web page):

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
TEXT
}

check_port
program
start
wait_until_ready
play
next_steps
wait "$service"
