#!/usr/bin/env bash
# Makes the fixture of a release: what its programs write to Redis, a backup, and its own view of the LTMs.
#
#   tests/data/releases/make.sh 0.1.0 target/debug/ltm      the version, and `ltm` of that version
#
# The test `releases` reads the fixtures of all releases with the present programs. Make a fixture once, when the version
# is released, and never change it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=$1
ltm=$(realpath "$2")
to=$here/$version
mkdir "$to"
work=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

# Redis writes the commands as text, so that every version of Redis reads them.
redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --appendonly yes --aof-use-rdb-preamble no \
  --save '' --daemonize no >"$work/redis.log" &
started+=($!)
until redis-cli -s "$work/redis.sock" ping >"$work/ping" 2>&1; do sleep 0.1; done
export LTM__REDIS__URL=unix://$work/redis.sock
LTM__API__CHECKPOINT_EVERY=4 "$ltm" dev --listen 127.0.0.1:0 2>"$work/ltm.log" &
started+=($!)
until grep -q ' listening ' "$work/ltm.log"; do sleep 0.1; done
address=$(sed -n 's/.* listening .*address=\(127[0-9.:]*\).*/\1/p' "$work/ltm.log")
export LTM_URL=http://$address

post() { # path, JSON, further options of curl
  curl --silent --show-error --fail-with-body --output "$work/answer" "$LTM_URL/api/v0/ltm$1" \
    --header 'Content-Type: application/json' --data "$2" "${@:3}"
}

# 1: everything that a log can have.
post '' '{"id": 1, "fqn": "app.Agent", "key": "thread/1", "name": "harbour lights", "params": {"n": 1.0},
  "structure": {"name": "agent", "fqn": "app.Agent"}, "state": {"_status": "init", "text": "é \u0000", "big": 12345678901234567890,
  "exact": 1.50, "list": [1, [], {}]}}' --header 'Idempotency-Key: create-1'
post /1/snapshots '{"reason": "execute", "item": {"label": "plan"}, "patch": [{"op": "add", "path": "/list/-", "value": 1e2},
  {"op": "move", "from": "/text", "path": "/moved"}]}' --header 'Idempotency-Key: step-1' \
  --header 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
post /1/snapshots '{"reason": "execute", "merge": {"_status": "active", "moved": null}, "execute_queue": [{"n": 1}]}' \
  --header 'Ltm-Producer: engine;epoch=7'
post /1/snapshots '{"snapshots": [{"reason": "execute", "merge": {"n": 1}}, {"reason": "transition", "merge": {"n": 2}},
  {"reason": "execute", "merge": {"n": 3}, "time": "2026-01-31T12:00:00Z"}]}'
post /1/rollback '{"snapshot": {"index": 2}}'
post /1/snapshots '{"reason": "execute", "merge": {"n": 4}}'
post /1/errors '{"id": "00000000-0000-4000-8000-000000000001", "reason": "execute", "item": {"label": "plan"},
  "retries": [{"type": "Timeout", "description": "no answer"}], "retrying": true}'
post /1/errors '{"id": "00000000-0000-4000-8000-000000000001", "reason": "execute", "item": {"label": "plan"}, "success": true}'
post /1/rollback '{"rollback": {"index": 0}}'
post /1/rollback '{"snapshot": {"index": 4, "replay": true}}'
post /1/snapshots '{"reason": "execute", "state": {"_status": "waiting for a human", "n": 5, "sure": false}}'

# 2: a log whose beginning retention has removed.
post '' '{"id": 2, "fqn": "app.Agent", "state": {"n": 0}, "retention": {"max_entries": 3}}'
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
  post /2/snapshots "{\"reason\": \"execute\", \"merge\": {\"n\": $n}}"
done
post /2/errors '{"id": "00000000-0000-4000-8000-000000000002", "reason": "execute"}'
until [ "$(redis-cli -s "$work/redis.sock" exists 'ltm:{2}:base')" = 1 ]; do sleep 0.1; done

# 3: a copy in the playground. 4: deleted.
post /1/copy '{}'
post '' '{"id": 4, "fqn": "app.Gone", "key": "gone", "state": {}}'
curl --silent --fail --output "$work/answer" --request DELETE "$LTM_URL/api/v0/ltm/4"

"$ltm" export --file "$work/documents.jsonl"
"$ltm" export --playground >>"$work/documents.jsonl"
"$ltm" backup "$work/backup.ltm.zst"
kill "${started[1]}"
wait "${started[1]}" || true
# The file has what there is, and not how it came about: a key that was to expire for a while would expire when the test
# runs the commands an hour later.
redis-cli -s "$work/redis.sock" bgrewriteaof >"$work/ping"
until redis-cli -s "$work/redis.sock" info persistence | grep -c '^aof_rewrite_\(in_progress\|scheduled\):0' | grep -q 2; do sleep 0.1; done
redis-cli -s "$work/redis.sock" shutdown nosave 2>"$work/ping" || true
wait "${started[0]}" || true

# Keys that still expire, such as Idempotency-Keys, are gone when the test reads this.
cat "$work"/appendonlydir/*.base.aof "$work"/appendonlydir/*.incr.aof >"$to/redis.aof"
cp "$work/documents.jsonl" "$work/backup.ltm.zst" "$to"
chmod 644 "$to"/*
ls -l "$to"
