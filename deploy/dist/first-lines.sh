#!/bin/sh
# The first lines of the guide, with an installed `ltm`: the version, `ltm dev`, create, append, get. Uses only what a
# bare system has.
#
#   first-lines.sh LTM PORT FOLDER
set -eu

ltm=$1 url=http://127.0.0.1:$2 folder=$3
limit=120

"$ltm" --version
"$ltm" dev --listen "127.0.0.1:$2" --data-dir "$folder/data" >"$folder/log" 2>&1 &
dev=$!
trap 'kill -TERM "$dev" 2>/dev/null && wait "$dev" || true' EXIT

until "$ltm" --url "$url" list >/dev/null 2>&1; do
  kill -0 "$dev" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
  limit=$((limit - 1))
  [ "$limit" -gt 0 ] || { cat "$folder/log" >&2; echo "ltm dev was not ready within 120 s" >&2; exit 1; }
  sleep 1
done
"$ltm" --url "$url" create app.Agent --id 42 --state '{"n": 0}'
"$ltm" --url "$url" append 42 --merge '{"n": 1}'
state=$("$ltm" --url "$url" --json get 42)
case $state in
  *'"n":1'*) echo "state: as appended" ;;
  *) echo "unexpected: $state" >&2; exit 1 ;;
esac
