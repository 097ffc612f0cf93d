#!/usr/bin/env bash
# Runs in the machine of ../boot.sh, as root. At its first boot it installs the package and starts the services as the
# package says; after a reboot it disturbs them, upgrades and removes them. Prints "boot: passed" at the end.
set -euo pipefail

services=(ltm-api ltm-gateway)
gateway=http://127.0.0.1:8001
follower=
# With the time since the boot.
say() { printf 'boot: %s s: %s\n' "$(cut -d . -f 1 /proc/uptime)" "$*"; }

fail() {
  say "FAILED: ${*//$'\n'/; }"
  exit 1
}

# At the end. After a failure it shows the last commands, and the logs of the services.
finish() {
  local code=$?
  set +ex
  if [ "$code" != 0 ]; then
    say "FAILED, exit code $code, after these commands:"
    tail -n 20 /root/trace
    journalctl --sync
    journalctl --boot --no-pager --lines 60 --output cat --unit ltm-api --unit ltm-gateway --unit redis-server
  fi
  systemctl "$next"
}
next=poweroff
trap finish EXIT
exec 9>>/root/trace
BASH_XTRACEFD=9
set -x

# Runs a command until it succeeds.
within() { # seconds, command…
  local end=$((SECONDS + $1))
  shift
  until "$@" >/tmp/within 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "not in time: $*: $(tail -n 3 /tmp/within)"
    sleep 0.5
  done
}

property() { systemctl show --value --property "$2" "$1"; }

restarted() { [ "$(property "$1" NRestarts)" = 1 ]; }

ready() { "$1" --config "/etc/ltm-live/$1.toml" --probe; }

all_ready() {
  local service
  for service in "${services[@]}"; do
    within 300 ready "$service"
    systemctl --quiet is-active "$service" || fail "$service is $(systemctl is-active "$service")"
  done
}

# Nothing that a service does is forbidden, and systemd warns of nothing.
nothing_denied() {
  local found
  journalctl --sync
  found=$(journalctl --boot --no-pager --output cat --priority warning --unit ltm-api --unit ltm-gateway)
  [ -z "$found" ] || fail "systemd warns: $found"
  found=$(journalctl --boot --no-pager --output cat --unit ltm-api --unit ltm-gateway |
    grep -iE 'not permitted|permission denied|read-only' || true)
  [ -z "$found" ] || fail "a service may not: $found"
  # 1326: a filter of system calls ended a process.
  found=$(journalctl --boot --no-pager --dmesg --output cat | grep -E ' type=1326 |segfault|oom-kill' || true)
  [ -z "$found" ] || fail "the kernel says: $found"
}

# Follows the LTM at the gateway, from its beginning; the lines are in /tmp/followed.
follow() {
  ltm --url "$gateway" --json tail app.Agent/thread-7 --after 0 >/tmp/followed 2>/tmp/follower &
  follower=$!
}

# The follower has received each snapshot up to this one, once and in order.
followed() {
  within 300 grep -q "\"path\":\"/n\",\"value\":$1}" /tmp/followed
  grep -o '"value":[0-9]*' /tmp/followed | cut -d : -f 2 >/tmp/values
  seq 0 "$1" | cmp -s - /tmp/values || fail "the follower received the snapshots $(tr '\n' ' ' </tmp/values)"
}

install_package() {
  local service
  apt-get install -y -qq --no-install-recommends /root/ltm-live.deb >/tmp/apt 2>&1 || fail "apt-get: $(cat /tmp/apt)"
  for service in "${services[@]}"; do
    systemctl --quiet is-active "$service" && fail "the installation started $service"
    systemd-analyze verify --man=no "/usr/lib/systemd/system/$service.service" >/tmp/verify 2>&1 || fail "$(cat /tmp/verify)"
    [ ! -s /tmp/verify ] || fail "systemd-analyze verify: $(cat /tmp/verify)"
  done
  say "installed; systemd-analyze finds no fault in the units"
  # The commands that the package prints. apt-get runs dpkg on a terminal of its own, so its lines end in a CR.
  tr -d '\r' </tmp/apt | sed -n 's/^  [0-9]\. \([^:]*: \)\?//p' >/tmp/commands
  [ "$(wc -l </tmp/commands)" = 3 ] || fail "the package does not print three commands: $(cat /tmp/apt)"
  bash -eux /tmp/commands >/tmp/printed 2>&1 || fail "the printed commands: $(cat /tmp/printed)"
  all_ready
  say "the commands that the package prints start both services"
}

first_lines() {
  ltm create app.Agent --key thread-7 --id 42 --state '{"n": 0}'
  follow
  followed 0
  ltm append app.Agent/thread-7 --merge '{"n": 1}'
  followed 1
  say "an LTM is created, and followed by WebSocket"
}

is_hardened() {
  local service process
  for service in "${services[@]}"; do
    process=/proc/$(property "$service" MainPID)
    for line in "NoNewPrivs:	1" "Seccomp:	2" "CapEff:	0000000000000000" "CapBnd:	0000000000000000"; do
      grep -qx "$line" "$process/status" || fail "$service lacks $line: $(grep -E '^(No|Sec|Cap)' "$process/status")"
    done
    [ "$(stat -c %U "$process")" = ltm-live ] || fail "$service runs as $(stat -c %U "$process")"
    [ "$(readlink "$process/ns/user")" != "$(readlink /proc/1/ns/user)" ] || fail "$service has no user namespace"
  done
  say "seccomp, capabilities and namespaces hold"
}

waits_for_redis() {
  journalctl --sync
  journalctl --output cat "_SYSTEMD_INVOCATION_ID=$(property "$1" InvocationID)" | grep -q 'until Redis answers'
}

# Restarts a service with these lines in a drop-in; without lines, as its unit is.
restart_with() { # service, lines…
  local folder=/run/systemd/system/$1.service.d
  mkdir -p "$folder"
  printf '%s\n' '[Service]' "${@:2}" >"$folder/check.conf"
  systemctl daemon-reload
  systemctl restart "$1"
}

# The guide's drop-in for resolvers with a link-local address, here with a Redis.
link_local() {
  local service address=169.254.169.254
  local redis=Environment=LTM__REDIS__URL=redis://$address:6379/0
  ip link set lo up
  ip address add "$address/32" dev lo
  redis-cli config set bind "127.0.0.1 $address" >/dev/null
  redis-cli config set protected-mode no >/dev/null
  redis-cli -h "$address" -e ping >/dev/null
  for service in "${services[@]}"; do
    restart_with "$service" "$redis"
    within 300 waits_for_redis "$service"
    ready "$service" >/dev/null 2>&1 && fail "$service reaches $address"
    restart_with "$service" "$redis" "IPAddressAllow=$address"
    within 300 ready "$service"
    restart_with "$service"
    within 300 ready "$service"
  done
  ip address del "$address/32" dev lo
  say "a link-local address is out of reach, unless a drop-in allows it"
}

# No restart makes a setting right, so systemd must not restart the service for ever.
fails_with_wrong_setting() {
  local service
  for service in "${services[@]}"; do
    restart_with "$service" Environment=LTM__HTTP__TRUSTED_PROXIES=nonsense || true
    within 120 systemctl --quiet is-failed "$service"
    [ "$(property "$service" ExecMainStatus)" = 2 ] || fail "$service exits with $(property "$service" ExecMainStatus)"
    restart_with "$service"
    within 300 ready "$service"
  done
  say "a service with a wrong setting fails, and is not restarted"
}

comes_back_after_kill() {
  local service number=$1
  for service in "${services[@]}"; do
    kill -9 "$(property "$service" MainPID)"
    within 300 restarted "$service"
    within 300 ready "$service"
    number=$((number + 1))
    ltm append app.Agent/thread-7 --merge "{\"n\": $number}" >/dev/null
    followed "$number"
  done
  say "killed services come back, and the follower misses nothing"
}

survives_redis_restart() {
  local number
  for number in $(seq "$1" "$2"); do
    ltm append app.Agent/thread-7 --merge "{\"n\": $number}" >/dev/null
  done &
  sleep 1
  systemctl restart redis-server
  wait $!
  followed "$2"
  all_ready
  ltm verify --all --redis redis://127.0.0.1:6379/0
  say "a restart of Redis loses nothing"
}

stops_cleanly() {
  local service began
  for service in "${services[@]}"; do
    began=$SECONDS
    systemctl stop "$service"
    [ "$(property "$service" Result)" = success ] || fail "$service ends with $(property "$service" Result)"
    [ "$(property "$service" ExecMainStatus)" = 0 ] || fail "$service exits with $(property "$service" ExecMainStatus)"
    say "$service stops after $((SECONDS - began)) s, with success"
  done
  systemctl start "${services[@]}"
  all_ready
}

upgrade() {
  local service before=()
  for service in "${services[@]}"; do before+=("$(property "$service" MainPID)"); done
  echo '# a change of the operator' >>/etc/ltm-live/ltm-api.toml
  apt-get install -y -qq --reinstall --no-install-recommends /root/ltm-live.deb >/tmp/apt 2>&1 || fail "apt-get: $(cat /tmp/apt)"
  all_ready
  grep -q 'a change of the operator' /etc/ltm-live/ltm-api.toml || fail "the upgrade changed the settings"
  for service in "${services[@]}"; do
    [ "$(property "$service" MainPID)" != "${before[0]}" ] || fail "the upgrade did not restart $service"
    before=("${before[@]:1}")
  done
  [ "$(property ltm-gateway ActiveEnterTimestampMonotonic)" -lt "$(property ltm-api ActiveEnterTimestampMonotonic)" ] ||
    fail "the upgrade restarted ltm-api first"
  # A service that the operator stopped stays so.
  systemctl stop ltm-gateway
  apt-get install -y -qq --reinstall --no-install-recommends /root/ltm-live.deb >/tmp/apt 2>&1 || fail "apt-get: $(cat /tmp/apt)"
  systemctl --quiet is-active ltm-gateway && fail "the upgrade started a stopped service"
  systemctl start ltm-gateway
  all_ready
  say "an upgrade restarts the running services, the gateway first"
}

remove() {
  local service
  apt-get remove -y -qq ltm-live >/tmp/apt 2>&1 || fail "apt-get remove: $(cat /tmp/apt)"
  for service in "${services[@]}"; do
    systemctl --quiet is-active "$service" && fail "$service runs without its package"
    [ ! -e "/etc/systemd/system/multi-user.target.wants/$service.service" ] || fail "$service stays enabled"
  done
  [ -z "$(find /proc -maxdepth 1 -user ltm-live)" ] || fail "processes stay: $(find /proc -maxdepth 1 -user ltm-live)"
  apt-get purge -y -qq ltm-live >/tmp/apt 2>&1 || fail "apt-get purge: $(cat /tmp/apt)"
  [ ! -e /etc/ltm-live ] || fail "purge leaves $(ls /etc/ltm-live)"
  say "remove stops the services, purge removes the settings"
}

nothing_failed() {
  local state
  state=$(systemctl is-system-running --wait) || fail "the system is $state: $(systemctl --failed --plain --no-legend)"
}

say "$(systemctl --version | head -n 1), Linux $(uname -r), $(systemd-detect-virt)"
if [ ! -e /root/installed ]; then
  nothing_failed
  install_package
  first_lines
  is_hardened
  nothing_denied
  touch /root/installed
  next=reboot
  exit
fi
nothing_failed
all_ready
say "after a reboot, both services are active and ready"
follow
followed 1
nothing_denied
link_local
fails_with_wrong_setting
comes_back_after_kill 1
survives_redis_restart 4 40
stops_cleanly
ltm append app.Agent/thread-7 --merge '{"n": 41}'
followed 41
upgrade
ltm append app.Agent/thread-7 --merge '{"n": 42}'
followed 42
kill "$follower"
remove
nothing_failed
echo "boot: passed"
