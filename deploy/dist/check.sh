#!/usr/bin/env bash
# Installs each artifact in target/dist, and goes through the first lines of the guide with it. The tarball and the
# Debian package go into a bare Debian (debootstrap, needs root); where that cannot be made, into an empty folder, and
# the check says so. The wheel and the npm package go into a new environment on this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$PWD/target/dist
root=$PWD/target/dist-root
suite=${DIST_SUITE:-bookworm}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

say() { printf 'check-dist: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# A port that nothing uses, at least now.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

first_lines() { # name, ltm
  mkdir -p "$folder/$1"
  deploy/dist/first-lines.sh "$2" "$(free_port)" "$folder/$1"
  say "$1: works"
}

# Makes a bare Debian once; later runs copy it.
bare_root() {
  [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null || return 1
  if [ ! -e "$root/ready" ]; then
    say "making a bare Debian $suite in $root"
    rm -rf "$root"
    debootstrap --variant=minbase "$suite" "$root" >"$root.log" 2>&1 || return 1
    touch "$root/ready"
  fi
  cp -a "$root" "$folder/root"
}

in_root() { chroot "$folder/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }

first_lines_in_root() { # name, ltm
  local place=/tmp/$1
  mkdir -p "$folder/root$place"
  cp deploy/dist/first-lines.sh "$folder/root/tmp/"
  in_root /tmp/first-lines.sh "$2" "$(free_port)" "$place"
  say "$1: works in a bare Debian $suite"
}

check_debian_in_root() {
  local deb=$1 service
  cp "$deb" "$folder/root/tmp/ltm-live.deb"
  in_root apt-get update -qq
  # Also installs what the package recommends: Redis.
  in_root apt-get install -y -qq /tmp/ltm-live.deb >"$folder/apt.log" 2>&1 || {
    tail -n 20 "$folder/apt.log" >&2
    fail "apt-get could not install the package"
  }
  first_lines_in_root deb ltm
  for service in ltm-api ltm-gateway; do
    in_root su -s /bin/sh ltm-live -c "$service --config /etc/ltm-live/$service.toml --print-config" >/dev/null
    in_root su -s /bin/sh nobody -c "cat /etc/ltm-live/$service.toml" >/dev/null 2>&1 &&
      fail "everybody can read /etc/ltm-live/$service.toml"
  done
  # It exits with 0 whatever it finds.
  [ -z "$(in_root dpkg --verify ltm-live)" ] || fail "installed files differ from the package"
  # Conffiles stay when the package goes, and go when it is purged.
  in_root apt-get remove -y -qq ltm-live >/dev/null 2>&1
  [ -e "$folder/root/etc/ltm-live/ltm-api.toml" ] || fail "remove deleted the settings"
  in_root apt-get purge -y -qq ltm-live >/dev/null 2>&1
  [ ! -e "$folder/root/etc/ltm-live/ltm-api.toml" ] || fail "purge left the settings"
}

(cd "$out" && sha256sum --quiet --check SHA256SUMS)
tarball=$(echo "$out"/ltm-live-*-x86_64-linux.tar.gz)
deb=$(echo "$out"/ltm-live_*_amd64.deb)

if bare_root; then
  tar -xzf "$tarball" -C "$folder/root/opt"
  unpacked=/opt/$(basename "$tarball" .tar.gz)
  # Without a Redis, the message must say how to get one.
  in_root "$unpacked/bin/ltm" dev --data-dir /tmp/none >"$folder/none" 2>&1 && fail "ltm dev runs without a Redis"
  grep -q 'apt-get install redis-server' "$folder/none" || fail "without a Redis, ltm dev says: $(cat "$folder/none")"
  check_debian_in_root "$deb"
  first_lines_in_root tarball "$unpacked/bin/ltm"
else
  say "NOT IN A BARE DEBIAN: that needs root and debootstrap. Unpacking into an empty folder instead"
  mkdir -p "$folder/tar" "$folder/debian"
  tar -xzf "$tarball" -C "$folder/tar" --strip-components 1
  dpkg-deb --extract "$deb" "$folder/debian"
  first_lines tarball "$folder/tar/bin/ltm"
  first_lines deb "$folder/debian/usr/bin/ltm"
fi

if command -v systemd-analyze >/dev/null; then
  for service in ltm-api ltm-gateway; do
    systemd-analyze security --offline=true --threshold=20 "deploy/dist/systemd/$service.service" | tail -n 1 >&2
  done
fi

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-index "$out"/ltm_live_server-*.whl
first_lines wheel "$folder/venv/bin/ltm"

npm install --silent --no-audit --no-fund --prefix "$folder/npm" "$out"/ltm-live-server-*.tgz
first_lines npm "$folder/npm/node_modules/.bin/ltm"
